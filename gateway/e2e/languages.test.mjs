// What a donor reads in each language: all of it in that language, on phones and desktops, from the campaign to the thanks.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { accessible } from "./console.mjs";
import { campaignPage, hosting, launch, pay, raised, raisedBecomes, service, snippet, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** The languages are those that have the pages' words. Each has its sentences by section and key. */
const strings = new URL("../pages/strings/", import.meta.url);
const catalogues = {};
for (const file of readdirSync(strings).filter((name) => name.endsWith(".json"))) {
  const [section, lang] = file.split(".");
  for (const [key, said] of Object.entries(JSON.parse(readFileSync(new URL(file, strings), "utf8")))) {
    (catalogues[lang] ??= {})[`${section}.${key}`] = typeof said === "string" ? said : said.other;
  }
}
const languages = Object.keys(catalogues);
const words = (lang) => JSON.parse(readFileSync(new URL(`../widget/strings.${lang}.json`, import.meta.url), "utf8"));
const plain = (text) => text.replace(/[\s\u00a0\u202f]+/g, " ");

/** Sentences of another language, whole ones that this language says otherwise. */
function foreign(lang, of = (l) => catalogues[l]) {
  const own = new Set(Object.values(of(lang)));
  return ["fr", "en"].filter((other) => other !== lang)
    .flatMap((other) => Object.values(of(other)))
    .filter((said) => said.length > 12 && !said.includes("{") && !own.has(said))
    .map(plain);
}

/** What the page says in its own language: without what is marked as another. */
const ownText = async (root, lang) => plain(await root.evaluate((element, lang) => {
  const parts = [];
  const walk = (node) => {
    for (const child of (node.shadowRoot ?? node).childNodes) {
      if (child.nodeType === Node.TEXT_NODE) parts.push(child.data);
      else if (child.nodeType === Node.ELEMENT_NODE && (!child.lang || child.lang === lang) && !/^(SCRIPT|STYLE)$/.test(child.tagName)) walk(child);
    }
    parts.push(" ");
  };
  walk(element);
  return parts.join("");
}, lang));

async function inOneLanguage(page, root, lang, of) {
  const text = await ownText(root, lang);
  assert.ok(text.trim().length > 40, "there is no text");
  assert.deepEqual(foreign(lang, of).filter((said) => text.includes(said)), [], `another language on ${page.url()}`);
  assert.doesNotMatch(text, /\{\w+\}|undefined|null/, page.url());
}

const over = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
const collectivePage = campaignPage.slice(0, campaignPage.lastIndexOf("/"));
const pages = [
  `${service}/`, `${service}/privacy`, `${service}/proof`, `${service}/nothing`, collectivePage, `${collectivePage}/monthly`, campaignPage, `${campaignPage}/pledge`,
  `${campaignPage}/news`, `${campaignPage}/embed`,
];

test("there are six languages", () => {
  assert.deepEqual([...languages].sort(), ["br", "de", "en", "es", "fr", "oc"]);
});

for (const lang of languages) {
  test(`each page is in ${lang} alone, fits phones and desktops, and is accessible`, async () => {
    for (const width of [320, 1280]) {
      await visit(browser, { viewport: { width, height: 800 }, expected: /404/ }, async (page) => {
        for (const address of pages) {
          await page.goto(`${address}?lang=${lang}`);
          assert.equal(await page.locator("html").getAttribute("lang"), lang, address);
          assert.ok((await over(page)) <= 0, `${address} in ${lang} scrolls sideways at ${width} px`);
          await inOneLanguage(page, page.locator("body"), lang);
          if (width === 320) await accessible(page);
        }
      });
    }
  });

  test(`the browser's wish for ${lang} is heard, and every other language is a click away`, async () => {
    await visit(browser, { locale: lang, javaScriptEnabled: false }, async (page) => {
      await page.goto(campaignPage);
      assert.equal(await page.locator("html").getAttribute("lang"), lang);
      const others = page.locator(".foot nav a");
      assert.deepEqual(await others.evaluateAll((links) => links.map((link) => link.hreflang).sort()), languages.filter((other) => other !== lang).sort());
      const other = await others.last().getAttribute("hreflang");
      await others.last().click();
      assert.equal(await page.locator("html").getAttribute("lang"), other);
    });
  });

  test(`somebody gives through the widget in ${lang}, and is thanked in it`, async () => {
    await visit(browser, { viewport: { width: 320, height: 800 } }, async (page) => {
      const start = await raised();
      await page.goto(await hosting(page, snippet({ lang }), { html: `lang="${lang}"` }));
      const widget = page.locator("cagnotte-widget");
      await widget.locator(".raised").waitFor();
      assert.equal(await widget.locator("section").getAttribute("lang"), lang);
      await inOneLanguage(page, widget, lang, words);
      assert.ok((await over(page)) <= 0, "it scrolls sideways");
      await accessible(page);
      const said = await widget.locator(".figures").evaluate((figures) => [...figures.children].map((part) => part.textContent));

      // The page writes amounts by tables of its own, and the widget by the browser's.
      const there = await browser.newPage();
      await there.goto(`${campaignPage}?lang=${lang}`);
      assert.deepEqual(await there.locator(".figures").first().evaluate((figures) => [...figures.children].map((part) => part.textContent)), said);
      await there.close();

      await widget.locator('input[name="preset"][value="2000"]').evaluate((radio) => radio.click());
      const give = words(lang).giveAmount.replace("{amount}", lang === "en" ? "€20" : "20 €");
      assert.equal(plain(await widget.locator("button").innerText()), plain(give));
      await widget.locator("button").click();
      await pay(page);
      await page.waitForURL((url) => url.origin === service);
      await page.getByText(plain(catalogues[lang]["pages.receivedLead"].split("{amount}")[0]).trim()).first().waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), lang);
      await inOneLanguage(page, page.locator("body"), lang);
      assert.ok((await over(page)) <= 0, "the thanks scroll sideways");
      await accessible(page);
      await raisedBecomes(start + 2000);
    });
  });
}

test("the widget says what is wrong in each language, and what it says loads once", async () => {
  for (const lang of languages) {
    await visit(browser, {}, async (page) => {
      const asked = [];
      page.on("request", (request) => /\/widget\/\w+\.json$/.test(request.url()) && asked.push(request.url()));
      await page.goto(await hosting(page, snippet({ lang }) + snippet({ lang }), { html: `lang="${lang}"` }));
      const widget = page.locator("cagnotte-widget").first();
      await widget.locator("button").click();
      assert.equal(plain(await widget.locator("#summary").innerText()), plain(`${words(lang).problem} ${words(lang).errorChoose}`));
      await widget.locator("#amount").fill("vingt");
      await widget.locator("button").click();
      assert.equal(plain(await widget.locator("#amount-error").innerText()), plain(words(lang).errorAmount));
      await page.locator("cagnotte-widget").nth(1).locator("button").waitFor();
      assert.deepEqual(asked, [`${service}/widget/${lang}.json`]);
    });
  }
});

test("a widget without its words shows what stands inside it, in its language, and recovers", async () => {
  for (const lang of languages) {
    await visit(browser, { expected: /Failed to load resource/ }, async (page) => {
      await page.route(`${service}/widget/${lang}.json`, (route) => route.abort());
      await page.goto(await hosting(page, snippet({ lang }), { html: `lang="${lang}"` }));
      const widget = page.locator("cagnotte-widget");
      assert.equal(await widget.locator("section").getAttribute("lang"), lang);
      assert.equal(plain(await widget.locator("[part=error]").innerText()), plain(words(lang).errorLoad));
      await page.getByRole("link", { name: "Donner" }).waitFor();
      await page.unroute(`${service}/widget/${lang}.json`);
      await widget.evaluate((element) => element.parentNode.prepend(element));
      await widget.locator(".raised").waitFor();
    });
  }
});

test("a language that is not ours gets French, as it always did", async () => {
  await visit(browser, { locale: "it" }, async (page) => {
    await page.goto(await hosting(page, snippet({ lang: "it" }), { html: 'lang="it"' }));
    await page.locator("cagnotte-widget .raised").waitFor();
    assert.equal(await page.locator("cagnotte-widget section").getAttribute("lang"), "fr");
    await page.goto(campaignPage);
    assert.equal(await page.locator("html").getAttribute("lang"), "fr");
  });
});
