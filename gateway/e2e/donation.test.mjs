// A donation, as the people of a village make it: on the collective's own page, on ours, with the keyboard, without
// JavaScript, with a card that is declined, or not at all.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { campaignPage, euros, hostPage, launch, pay, raised, raisedBecomes, seen, service, site, stripe, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const arrived = (page) => page.getByText("est bien arrivé").waitFor();

test("somebody gives 20 € on the collective's own page and sees the progress move", async () => {
  await visit(browser, {}, async (page) => {
    const start = await raised();
    await page.goto(`${hostPage}?utm_source=letter#give`);
    const widget = page.locator("cagnotte-widget");
    assert.equal(await seen(widget.locator(".raised")), euros(start));
    await widget.getByRole("radio", { name: "20 €" }).check();
    await widget.getByRole("button", { name: "Donner 20 €" }).click();
    await pay(page);
    await arrived(page);
    assert.equal(new URL(page.url()).origin, service);
    await raisedBecomes(start + 2000);
    await page.getByRole("link", { name: "Retourner sur" }).click();
    await page.waitForURL(hostPage); // neither the query nor the fragment went along
    await widget.locator(".raised").waitFor();
    assert.equal(await seen(widget.locator(".raised")), euros(start + 2000));
    const bar = widget.getByRole("progressbar");
    assert.equal(await bar.getAttribute("aria-valuenow"), String(Math.floor((start + 2000) / 800)));
  });
});

test("somebody's card is declined, and another one is not", async () => {
  await visit(browser, {}, async (page) => {
    const start = await raised();
    await page.goto(hostPage);
    await page.getByRole("radio", { name: "20 €" }).check();
    await page.getByRole("button", { name: "Donner" }).click();
    await pay(page, "4000 0000 0000 0002");
    await page.getByRole("alert").waitFor();
    assert.equal(new URL(page.url()).origin, stripe);
    await pay(page, "4242 4242 4242 4242");
    await arrived(page);
    await raisedBecomes(start + 2000);
  });
});

test("somebody cancels, is told that nothing was charged, and can still pay", async () => {
  await visit(browser, {}, async (page) => {
    const start = await raised();
    await page.goto(hostPage);
    await page.getByRole("radio", { name: "20 €" }).check();
    await page.getByRole("button", { name: "Donner" }).click();
    await page.waitForURL((url) => url.origin === stripe);
    await page.locator(".cancel a").click();
    await page.getByText("Si vous avez annulé, rien n’a été débité.").waitFor();
    assert.equal(await raised(), start);
    await page.getByRole("link", { name: "Continuer vers le paiement" }).click();
    await pay(page);
    await arrived(page);
    await raisedBecomes(start + 2000);
  });
});

test("somebody gives with the keyboard alone", async () => {
  await visit(browser, {}, async (page) => {
    const start = await raised();
    await page.goto(hostPage);
    await page.getByRole("radio", { name: "20 €" }).waitFor();
    const focused = () =>
      page.evaluate(() => {
        const element = document.activeElement.shadowRoot?.activeElement;
        const ring = element && getComputedStyle(element.type === "radio" ? element.nextElementSibling : element).outlineStyle;
        return { name: element?.tagName, group: element?.name, value: element?.value, ring };
      });
    for (let i = 0; (await focused()).group !== "preset"; i++) {
      assert.ok(i < 10, "the tab key does not reach the presets");
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Space");
    for (let i = 0; (await focused()).value !== "2000"; i++) {
      assert.ok(i < 10, "the arrow keys do not reach 20 €");
      await page.keyboard.press("ArrowRight");
    }
    assert.equal((await focused()).ring, "solid", "the focus cannot be seen");
    for (let i = 0; (await focused()).name !== "BUTTON"; i++) {
      assert.ok(i < 10, "the tab key does not reach the button");
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await pay(page);
    await arrived(page);
    await raisedBecomes(start + 2000);
  });
});

test("somebody without JavaScript follows the link, gives on the campaign's page and learns the truth", async () => {
  await visit(browser, { javaScriptEnabled: false, expected: /status of 400/ }, async (page) => {
    const start = await raised();
    await page.goto(hostPage);
    await page.getByRole("link", { name: "Donner" }).click();
    await page.waitForURL(campaignPage);
    await page.getByLabel("Autre montant").fill("0,10");
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    assert.match(await page.getByRole("alert").innerText(), /Le don minimum est de/);
    assert.equal(await page.getByLabel("Autre montant").inputValue(), "0,10");
    await page.getByLabel("Autre montant").fill("12,50");
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await pay(page);
    await page.getByText("Votre don de 12,50 € est bien arrivé.").waitFor();
    await raisedBecomes(start + 1250);
    await page.getByRole("link", { name: "Retourner à la collecte" }).click();
    assert.match(await seen(page.locator(".raised")), new RegExp(`^${euros(start + 1250)}`));
  });
});

test("somebody reads English all the way", async () => {
  await visit(browser, { locale: "en-GB" }, async (page) => {
    const start = await raised();
    await page.goto(`${hostPage}?lang=en`);
    await page.getByRole("radio", { name: "€20" }).check();
    await page.getByRole("button", { name: "Give €20" }).click();
    await pay(page);
    await page.getByText("Your donation of €20 has arrived.").waitFor();
    await raisedBecomes(start + 2000);
    await page.getByRole("link", { name: `Back to ${new URL(site).host}` }).waitFor();
  });
});
