// An event at free price: its day and place on its page, and the page at its door, which forgets each visitor.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible } from "./console.mjs";
import { campaign, launch, pay, seen, service, stripe, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const dance = campaign.replace(/[^/]+$/, "bal");
const page$ = `${service}/c/${dance.replace("collectives/", "").replace("campaigns/", "")}`;
const door = `${page$}/door`;
const phone = { width: 390, height: 844 };
const tablet = { width: 820, height: 1180 };
const anyID = /[0-9a-f]{8}-[0-9a-f]{4}|cs_(test|live)|donations/;

/** The event as the service has it. */
const event = async () => (await fetch(`${service}/v1/${dance}`).then((answer) => answer.json())).event;

const day = (date, locale) => new Intl.DateTimeFormat(locale, { dateStyle: "long", timeZone: "UTC" }).format(new Date(date)).replace(/^1 /, locale === "fr-FR" ? "1er " : "1 ");

/** Keeps a picture of a page where SHOTS says. */
const shot = (page, name, fullPage = true) => process.env.SHOTS && page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage });

/** The addresses in the history of the tab, and which one is shown. */
async function history(page, context) {
  const client = await context.newCDPSession(page);
  const { currentIndex, entries } = await client.send("Page.getNavigationHistory");
  await client.detach();
  return { shown: currentIndex, urls: entries.map((entry) => entry.url) };
}

test("an event's page says when and where, to people and to programs", async () => {
  const { date } = await event();
  for (const [width, lang, says] of [[320, "fr", `${day(date, "fr-FR")} à 19:30`], [390, "en", `${day(date, "en-GB")}, 19:30`], [1280, "fr", `${day(date, "fr-FR")} à 19:30`]]) {
    await visit(browser, { viewport: { width, height: 844 } }, async (page) => {
      await page.goto(`${page$}?lang=${lang}`);
      assert.equal(await seen(page.locator(".event")), `${says} · Salle des fêtes, Vallon`);
      const data = JSON.parse(await page.locator('script[type="application/ld+json"]').first().textContent());
      assert.equal(data.about.startDate, `${date}T19:30`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    });
  }
});

test("visitors give at the door one after the other, and nothing is left of any of them", async () => {
  for (const [viewport, lang, give, thanks, again] of [[phone, "fr", "10 €", "Merci !", "Revenir au début"], [tablet, "en", "€10", "Thank you!", "Back to the start"]]) {
    await visit(browser, { viewport, hasTouch: true }, async (page, context) => {
      await page.goto(`${door}?lang=${lang}`);
      for (let visitor = 0; visitor < 3; visitor++) {
        await page.getByRole("button", { name: give, exact: true }).click();
        await pay(page);
        await page.waitForURL(/\/door\/thanks/);
        assert.equal(await seen(page.locator("h1")), thanks);
        assert.doesNotMatch(page.url(), anyID);
        assert.doesNotMatch(await page.content(), /10 ?€|€10/, "the thanks tell the amount to the next visitor");
        await page.getByText(lang === "fr" ? "sur la piste" : "on the floor").waitFor();
        await page.getByRole("link", { name: again }).click();
        await page.getByRole("button", { name: give, exact: true }).waitFor();
        await page.waitForFunction(() => history.state?.at);
        // The script takes what was between out of the history.
        let now;
        for (const until = Date.now() + 10_000; Date.now() < until; await new Promise((resolve) => setTimeout(resolve, 50))) {
          now = await history(page, context);
          if (now.urls.slice(1).every((url) => new URL(url).pathname.endsWith("/door"))) break;
        }
        assert.deepEqual(now.urls.slice(1).map((url) => url.replace(/\?.*/, "")).filter((url) => url !== door), []);
        assert.ok(now.urls.length <= 4, `the history grows: ${now.urls}`);
      }
      // Neither way leads to anything else, nor does a reload.
      const { shown, urls } = await history(page, context);
      for (const way of [...Array(shown - 1).fill("goBack"), ...Array(urls.length).fill("goForward"), "reload"]) {
        await page[way]();
        await page.getByRole("button", { name: give, exact: true }).waitFor();
        assert.match(page.url(), /\/door(\?lang=..)?$/);
      }
    });
  }
});

test("an amount of one's own, an error, and no payment: the start is clean for the next visitor", async () => {
  await visit(browser, { viewport: phone, expected: /status of 400/ }, async (page, context) => {
    await page.goto(`${door}?lang=fr`);
    await page.getByLabel("Autre montant").fill("beaucoup");
    await page.getByRole("button", { name: "Donner", exact: true }).click();
    const summary = page.getByRole("alert");
    assert.match(await seen(summary), /Saisissez le montant en chiffres/);
    assert.ok(await summary.evaluate((element) => element === document.activeElement));
    await shot(page, "refused-phone");
    await accessible(page);
    await page.getByLabel("Autre montant").fill("7,50");
    await page.getByRole("button", { name: "Donner", exact: true }).click();
    await page.waitForURL((url) => url.origin === stripe);
    assert.match(await seen(page.locator("body")), /7,50 €/);
    await page.locator("a[href*='/donations/']").first().click();
    await page.waitForURL(/\/door\/unpaid/);
    assert.doesNotMatch(page.url(), anyID);
    assert.match(await seen(page.getByRole("status")), /Nous n’avons pas reçu de paiement.*rien n’a été débité/);
    await shot(page, "unpaid-phone");
    // From here it goes on, and the way back is still known.
    await page.getByRole("button", { name: "5 €", exact: true }).click();
    await pay(page);
    await page.waitForURL(/\/door\/thanks/);
    await page.getByRole("link", { name: "Revenir au début" }).click();
    await page.waitForURL(`${door}?lang=fr`);
    assert.equal(await page.getByLabel("Autre montant").inputValue(), "");
    assert.equal(await page.getByRole("alert").count(), 0);
    await page.waitForFunction(() => history.length <= history.state?.at + 1);
    assert.deepEqual((await history(page, context)).urls.slice(1).filter((url) => !url.startsWith(`${door}?`)), []);
  });
});

test("the thanks go back to the start by themselves, unless somebody wants to stay", async () => {
  await visit(browser, { viewport: tablet }, async (page) => {
    await page.clock.install();
    await page.goto(`${door}/thanks?lang=fr`);
    await page.getByText("Retour au début dans 20 s.").waitFor();
    await page.clock.runFor(10_000);
    // A touch begins anew.
    await page.mouse.click(5, 5);
    await page.clock.runFor(15_000);
    assert.match(page.url(), /thanks/);
    await page.getByRole("button", { name: "Rester sur cette page" }).click();
    await page.clock.runFor(120_000);
    assert.match(page.url(), /thanks/);
    await page.reload();
    await page.getByText("Retour au début dans").waitFor();
    await page.clock.runFor(25_000);
    await page.waitForURL(`${door}?lang=fr`);
  });
});

test("without a script the door works, and its pages name no donation", async () => {
  await visit(browser, { viewport: phone, javaScriptEnabled: false }, async (page, context) => {
    await page.goto(`${door}?lang=fr`);
    await page.getByRole("button", { name: "5 €", exact: true }).click();
    await pay(page);
    await page.waitForURL(/\/door\/thanks\?lang=fr$/);
    assert.equal(await page.getByText("Retour au début dans").isVisible(), false);
    await page.getByRole("link", { name: "Revenir au début" }).click();
    await page.waitForURL(`${door}?lang=fr`);
    const { urls } = await history(page, context);
    assert.deepEqual(urls.filter((url) => url.startsWith(service) && anyID.test(url)), []);
  });
});

test("the door and its thanks are for everybody, in any colours", async () => {
  await visit(browser, { viewport: phone }, async (page) => {
    for (const path of ["", "/unpaid", "/thanks"]) await accessible(page, door + path);
    const looks = [["phone", phone, "light"], ["phone-dark", phone, "dark"], ["tablet", tablet, "light"], ["desktop", { width: 1280, height: 900 }, "light"], ["small", { width: 320, height: 640 }, "light"]];
    for (const [name, viewport, colorScheme] of looks) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      for (const path of ["", "/thanks"]) {
        await page.goto(`${door}${path}?lang=fr`);
        await shot(page, `${path.slice(1) || "door"}-${name}`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
      }
    }
    // All amounts stand on the first screen of a phone, large enough for a thumb.
    await page.setViewportSize(phone);
    await page.emulateMedia({ colorScheme: "light", forcedColors: "active" });
    await page.goto(`${door}?lang=fr`);
    await shot(page, "door-forced");
    for (const button of await page.locator(".prices button").all()) {
      const box = await button.boundingBox();
      assert.ok(box.height >= 80 && box.y + box.height <= phone.height, JSON.stringify(box));
    }
    for (const button of await page.locator(".door button").all()) assert.notEqual(await button.evaluate((e) => getComputedStyle(e).borderTopStyle), "none");
  });
});
