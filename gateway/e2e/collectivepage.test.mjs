// What the public reads beside a campaign's form: who the collective is, the front page, what is kept, and news.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible } from "./console.mjs";
import { campaignPage, launch, seen, service, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const collectivePage = campaignPage.slice(0, campaignPage.lastIndexOf("/"));
const pages = [`${service}/`, `${service}/privacy`, collectivePage, campaignPage, `${campaignPage}/news`];
const over = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test("each page fits phones and desktops, in both languages, without a script, a cookie or another site", async () => {
  for (const [width, colorScheme, javaScriptEnabled] of [[320, "light", true], [390, "dark", false], [1280, "light", true]]) {
    await visit(browser, { viewport: { width, height: 800 }, colorScheme, javaScriptEnabled }, async (page, context) => {
      for (const address of pages) {
        for (const lang of ["fr", "en"]) {
          const answer = await page.goto(`${address}?lang=${lang}`);
          assert.equal(answer.status(), 200, address);
          assert.equal(await page.locator("html").getAttribute("lang"), lang, address);
          assert.equal(await page.locator("h1").count(), 1, address);
          assert.equal(await page.locator(`.foot a[href="/privacy?lang=${lang}"]`).count(), 1, `${address} does not lead to the page about privacy`);
          if (javaScriptEnabled) assert.ok((await over(page)) <= 0, `${address} scrolls sideways at ${width} px`);
        }
      }
      assert.deepEqual(await context.cookies(), []);
    });
  }
});

test("each page is accessible", async () => {
  await visit(browser, {}, async (page) => {
    for (const address of pages) await accessible(page, address);
  });
});

test("a feed without news is a feed, and an item that is not there is missing", async () => {
  const feed = await fetch(`${campaignPage}/news.atom?lang=fr`);
  assert.equal(feed.headers.get("content-type"), "application/atom+xml; charset=utf-8");
  assert.match(await feed.text(), /<feed xmlns="http:\/\/www\.w3\.org\/2005\/Atom"/);
  assert.equal((await fetch(`${campaignPage}/news/01890a5d-ac96-774b-bcce-b302099a8001`)).status, 404);
});

test("nobody is listed who did not choose so", async () => {
  await visit(browser, { javaScriptEnabled: false }, async (page) => {
    await page.goto(`${service}/?lang=fr`);
    assert.match(await seen(page.locator("main")), /Aucune collecte n’est affichée ici/);
  });
});
