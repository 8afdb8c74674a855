// While more payments are started than usual, a donor's browser solves a challenge. The program of this spec asks for one from
// the second payment on.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible } from "./console.mjs";
import { campaignPage, hostPage, launch, pay, seen, stripe, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const expected = /status of 428/;

/** What the page's form sends; each run of this is a donation. */
async function give(page, amount) {
  await page.goto(`${campaignPage}?lang=fr`);
  await page.getByLabel("Autre montant").fill(amount);
  await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
}

test("the first donor is asked for nothing", async () => {
  await visit(browser, {}, async (page) => {
    await give(page, "11");
    await page.waitForURL((url) => url.origin === stripe);
  });
});

test("a page solves the challenge by itself", async () => {
  await visit(browser, { expected }, async (page) => {
    const statuses = [];
    page.on("response", (response) => response.url().includes("/give") && statuses.push(response.status()));
    await give(page, "12");
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    assert.deepEqual(statuses, [428, 303]);
  });
});

test("the widget solves it, and nobody sees more than a busy button", async () => {
  await visit(browser, { expected }, async (page) => {
    const statuses = [];
    page.on("response", (response) => response.request().method() === "POST" && response.url().endsWith("/donations") && statuses.push(response.status()));
    await page.goto(hostPage);
    const widget = page.locator("cagnotte-widget");
    await widget.getByRole("radio", { name: "5 €", exact: true }).check();
    await widget.getByRole("button", { name: "Donner 5 €" }).click();
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    assert.equal(statuses[0], 428);
    assert.equal(statuses.at(-1), 200);
  });
});

for (const [width, lang, title, button, early] of [[320, "fr", "Un instant", "Continuer", /un peu tôt/], [1280, "en", "One moment", "Continue", /a little early/]]) {
  test(`without a script a button continues after a wait, ${lang}`, async () => {
    // The page's script is kept away, and not all scripts: the check of accessibility is one.
    await visit(browser, { expected: /status of 428|ERR_FAILED/, viewport: { width, height: 800 } }, async (page) => {
      await page.route("**/assets/moment*.js", (route) => route.abort());
      await page.goto(`${campaignPage}?lang=${lang}`);
      await page.locator("#amount").fill("13");
      await page.locator("form[action*=give] button").click();
      await page.getByRole("heading", { name: title }).waitFor();
      await accessible(page);
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/moment-${lang}.png` });
      await page.getByRole("button", { name: button }).click();
      assert.match(await seen(page.getByRole("status")), early);
      assert.equal(await page.locator("input[name=amount]").getAttribute("value"), "13");
    });
  });
}
