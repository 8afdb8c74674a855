// What donors see of a campaign's page: any story fits, what is wrong is said where it is wrong, and waiting pages wait alone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible } from "./console.mjs";
import { campaignPage, launch, pay, raised, raisedBecomes, seen, service, stripe, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** What a story may hold at worst, put where a story stands. */
const wide = `<h3>${"Donaudampfschifffahrtsgesellschaft".repeat(4)}</h3><p><a href="/">https://example.org/${"a".repeat(300)}</a> ${"mot".repeat(120)}</p>
<pre tabindex="0"><code>${"code ".repeat(60)}</code></pre>
<div class="scroll" tabindex="0"><table><thead><tr>${"<th scope=col>Colonne</th>".repeat(12)}</tr></thead><tbody><tr>${"<td>incompressible</td>".repeat(12)}</tr></tbody></table></div>
<ul><li>${"x".repeat(200)}</li></ul><blockquote><p>${"y".repeat(200)}</p></blockquote>`;

const over = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test("no story makes a phone scroll sideways, nor does text of twice the size", async () => {
  for (const [width, size] of [[320, "100%"], [390, "212.5%"], [1100, "212.5%"]]) {
    await visit(browser, { viewport: { width, height: 800 } }, async (page) => {
      for (const path of ["", "/pledge"]) {
        await page.goto(campaignPage + path);
        await page.evaluate(([html, fontSize]) => {
          document.documentElement.style.setProperty("font-size", fontSize);
          document.querySelector("h1").textContent += ` ${"Loooong".repeat(12)}`;
          const place = document.querySelector(".body");
          if (!place) return;
          const story = document.createElement("section");
          story.className = "story";
          const inner = document.createElement("div");
          inner.append(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
          story.append(inner);
          place.append(story);
        }, [wide, size]);
        assert.ok((await over(page)) <= 0, `${path || "the campaign"} scrolls sideways by ${await over(page)} at ${width} px and ${size}`);
      }
    });
  }
});

test("a refused form begins with what is wrong, which leads to its field, with a script or without", async () => {
  for (const javaScriptEnabled of [true, false]) {
    for (const [path, button] of [["", "Continuer vers le paiement"], ["/pledge", "Préparer mon don"]]) {
      await visit(browser, { javaScriptEnabled, viewport: { width: 390, height: 844 }, expected: /status of 400/ }, async (page) => {
        await page.goto(campaignPage + path);
        await page.getByLabel("Autre montant").fill("vingt");
        await page.getByRole("button", { name: button }).click();
        const summary = page.getByRole("alert");
        assert.match(await seen(summary), /Il y a un problème Saisissez le montant en chiffres/);
        assert.ok(await summary.evaluate((element) => element === document.activeElement), "the summary has not the focus");
        const box = await summary.boundingBox();
        assert.ok(box.y >= 0 && box.y + box.height <= 844, `the summary is off screen, at ${box.y}`);
        await summary.getByRole("link").click();
        const amount = page.getByLabel("Autre montant");
        await amount.and(page.locator(":focus")).waitFor();
        const described = await amount.evaluate((input) => input.getAttribute("aria-describedby").split(" ").map((id) => document.getElementById(id).textContent).join(" "));
        assert.match(described, /Saisissez le montant en chiffres/);
        assert.equal(await amount.inputValue(), "vingt");
      });
    }
  }
});

test("20 euros is an amount", async () => {
  await visit(browser, {}, async (page) => {
    await page.goto(campaignPage);
    await page.getByLabel("Autre montant").fill("20 euros");
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await page.waitForURL((url) => url.origin === stripe);
    assert.match(await seen(page.locator("main")), /20,00 €|20 €/);
  });
});

test("a page that waits tells by itself that the donation has arrived, and without a script by its link", async () => {
  await visit(browser, {}, async (page, context) => {
    const start = await raised();
    await page.goto(`${campaignPage}?lang=fr`);
    await page.getByLabel("Autre montant").fill("6");
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await page.waitForURL((url) => url.origin === stripe);
    const other = await context.newPage();
    // The way back without paying leads to the page of the donation.
    const [back] = await Promise.all([page.url(), pay(page)]);
    assert.ok(back.startsWith(stripe));
    await page.getByText("est bien arrivé").waitFor();
    const donation = page.url();
    await raisedBecomes(start + 600);
    // The same page as it was before: its answer is held back at the first look.
    let waiting = true;
    await other.route((url) => url.href.startsWith(donation.split("?")[0]), async (route) => {
      const answer = await route.fetch();
      const body = await answer.text();
      if (!waiting) return route.fulfill({ response: answer, body });
      return route.fulfill({
        response: answer,
        body: body
          .replace("</head>", `<script src="${waitScript}" defer></script></head>`)
          .replace(/data-state="\w+"/, 'data-state="open"')
          .replace(/<p class="lead">/, '<p data-wait="1,1,1" data-look="?lang=fr&look=1" data-told="Cette page se met à jour toute seule."><a href="?">Vérifier à nouveau</a></p><p class="lead">'),
      });
    });
    const waitScript = await scriptOfWaiting(other);
    await other.goto(donation);
    await other.getByText("Cette page se met à jour toute seule.").waitFor();
    waiting = false;
    await other.locator("main[data-state=received]").waitFor();
    assert.match(await seen(other.getByRole("status")), /Merci ! Votre don de 6 € est bien arrivé/);
  });
});

/** The address of the script, from a page that waits: a donation that was begun and not paid. */
async function scriptOfWaiting(page) {
  const begun = await page.request.post(`${service}/v1/${new URL(campaignPage).pathname.replace("/c/", "collectives/").replace(/\/(?=[^/]*$)/, "/campaigns/")}/donations`, {
    data: { donation: { amount: { currency_code: "EUR", amount_minor: "500" } }, request_id: crypto.randomUUID() },
  });
  const { name } = await begun.json();
  const id = name.split("/").at(-1);
  const html = await (await page.request.get(`${campaignPage}/donations/${id}?look=1`)).text();
  assert.doesNotMatch(html, /http-equiv="refresh"/);
  assert.match(html, /Vérifier à nouveau|Check again/);
  return html.match(/src="(\/assets\/wait-[^"]+)"/)[1];
}

test("capitals and a slash at the end lead to the page", async () => {
  await visit(browser, {}, async (page) => {
    await page.goto(`${campaignPage.replace("vallon", "Vallon")}/?lang=en`);
    assert.equal(page.url(), `${campaignPage}?lang=en`);
    await page.getByRole("heading", { level: 1 }).waitFor();
  });
});

test("the slip's reference and IBAN are its largest text, and on paper it shows its address", async () => {
  await visit(browser, { viewport: { width: 390, height: 844 } }, async (page) => {
    await page.goto(`${campaignPage}/pledge`);
    await page.getByRole("radio", { name: "Par virement" }).check();
    await page.getByLabel("Autre montant").fill("35 €");
    await page.getByRole("button", { name: "Préparer mon don" }).click();
    await page.waitForURL(/\/pledges\//);
    const sizes = await page.locator("main *").evaluateAll((all) => all
      .filter((e) => [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim()))
      .map((e) => [e.classList.contains("large"), parseFloat(getComputedStyle(e).fontSize)]));
    const size = (large) => sizes.filter(([is]) => is === large).map(([, px]) => px);
    assert.equal(size(true).length, 2);
    assert.ok(Math.min(...size(true)) > Math.max(...size(false)), JSON.stringify(sizes));
    assert.ok((await over(page)) <= 0);
    const address = page.locator(".printed");
    assert.equal(await address.isVisible(), false);
    await page.emulateMedia({ media: "print" });
    assert.ok((await seen(address)).includes(page.url().replace(/^https?:\/\/|\?.*$/g, "")));
  });
});

test("a phone shows what came in and what is left before the form", async () => {
  await visit(browser, { viewport: { width: 390, height: 844 } }, async (page) => {
    await page.goto(campaignPage);
    const y = async (selector) => (await page.locator(selector).first().boundingBox()).y;
    assert.ok((await y(".figures")) < (await y(".left")) && (await y(".left")) < (await y("form")));
    assert.match(await seen(page.locator(".left")), /Il manque|Objectif atteint/);
  });
});

test("axe finds nothing on the campaign, its form when refused and the slip", async () => {
  await visit(browser, { expected: /status of 400/ }, async (page) => {
    await accessible(page, campaignPage);
    await page.goto(campaignPage);
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await page.getByRole("alert").waitFor();
    await accessible(page);
    await page.goto(`${campaignPage}/pledge`);
    await page.getByLabel("Autre montant").fill("35");
    await page.getByRole("button", { name: "Préparer mon don" }).click();
    await page.waitForURL(/\/pledges\//);
    await accessible(page);
  });
});
