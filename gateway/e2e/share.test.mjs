// How a campaign is told of: what a link says of itself, the links to share it, its picture, its codes and its poster.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible } from "./console.mjs";
import { campaignPage, launch, pay, raised, raisedBecomes, service, site, stripe, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** The head of a page, by the browser's own reading of it. */
const headOf = (page) => page.evaluate(() => {
  const of = (selector, attribute) => [...document.querySelectorAll(selector)].map((element) => element.getAttribute(attribute));
  return {
    title: document.title,
    description: of("meta[name=description]", "content"),
    canonical: of("link[rel=canonical]", "href"),
    languages: of("link[hreflang]", "hreflang"),
    picture: of('meta[property="og:image"]', "content"),
    card: of('meta[name="twitter:card"]', "content"),
    oembed: of('link[type="application/json+oembed"]', "href"),
    data: [...document.querySelectorAll('script[type="application/ld+json"]')].map((block) => JSON.parse(block.textContent)),
    robots: of("meta[name=robots]", "content"),
  };
});

test("a public page says what it is, and its data block offends no policy", async () => {
  // A policy that refused the block would be an error on the console, which fails the visit.
  await visit(browser, {}, async (page) => {
    await page.goto(`${campaignPage}?utm_source=mail`);
    const head = await headOf(page);
    assert.equal(head.canonical.length, 1);
    assert.ok(head.canonical[0].startsWith(campaignPage), head.canonical[0]);
    assert.doesNotMatch(head.canonical[0], /utm_source/);
    assert.equal(head.description.length, 1);
    assert.deepEqual(head.card, ["summary_large_image"]);
    assert.equal(head.data[0]["@context"], "https://schema.org");
    assert.equal(head.data[0].potentialAction["@type"], "DonateAction");
    assert.deepEqual(head.robots, []);

    const picture = await page.request.get(head.picture[0]);
    assert.equal(picture.status(), 200);
    assert.equal(picture.headers()["content-type"], "image/png");
    const size = await page.evaluate(async (src) => {
      const image = new Image();
      image.src = src;
      await image.decode();
      return [image.naturalWidth, image.naturalHeight];
    }, head.picture[0]);
    assert.deepEqual(size, [1200, 630]);
    const answer = await (await page.request.get(head.oembed[0])).json();
    assert.equal(answer.type, "link");
    assert.equal(answer.title, head.title);

    for (const path of ["/", `/c/${new URL(campaignPage).pathname.split("/")[2]}`]) {
      await page.goto(service + path);
      const other = await headOf(page);
      assert.deepEqual(other.canonical, [service + path]);
      assert.deepEqual(other.languages, ["fr", "en", "oc", "br", "es", "de", "x-default"]);
      assert.deepEqual(other.robots, []);
    }
  });
});

test("the links to share load nothing and lead where they say, with a script or without", async () => {
  for (const javaScriptEnabled of [true, false]) {
    await visit(browser, { javaScriptEnabled, viewport: { width: 390, height: 844 } }, async (page) => {
      const asked = [];
      page.on("request", (request) => asked.push(new URL(request.url()).origin));
      await page.goto(`${campaignPage}?lang=fr`);
      await page.getByText("Faire connaître cette collecte").click();
      const share = page.locator("details.share");
      await share.getByRole("link", { name: "WhatsApp" }).waitFor();
      assert.match(await share.getByRole("link", { name: "Affiche à imprimer" }).getAttribute("href"), /\/poster\.pdf\?lang=fr$/);
      const hrefs = await share.locator("li a").evaluateAll((links) => links.map((link) => link.href));
      assert.deepEqual(hrefs.map((href) => href.startsWith("mailto:") ? "mailto:" : new URL(href).host), ["mailto:", "wa.me", "t.me", "www.facebook.com", "x.com"]);
      for (const href of hrefs) assert.ok(decodeURIComponent(href).includes(campaignPage), href);
      assert.equal(await share.getByLabel("L’adresse à copier").inputValue(), campaignPage);
      assert.ok(asked.every((origin) => origin === service), `requests to ${asked}`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), "the page scrolls sideways");
    });
  }
});

test("who has donated can tell others, and no link says who", async () => {
  await visit(browser, {}, async (page) => {
    const start = await raised();
    await page.goto(`${campaignPage}?lang=fr`);
    await page.getByLabel("Autre montant").fill("7");
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await page.waitForURL((url) => url.origin === stripe);
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    await raisedBecomes(start + 700);
    const donation = new URL(page.url()).pathname.split("/").at(-1);
    const share = page.locator("details.share");
    await share.getByRole("link", { name: "Telegram" }).waitFor();
    for (const href of await share.getByRole("link").evaluateAll((links) => links.map((link) => link.href))) {
      assert.ok(!href.includes(donation) && !/donations|7[ ,%]|€/.test(decodeURIComponent(href)), href);
    }
    const head = await headOf(page);
    assert.deepEqual([head.canonical, head.picture, head.data, head.description], [[], [], [], []]);
    assert.deepEqual(head.robots, ["noindex, nofollow"]);
  });
});

test("the picture moves with the progress, at another address", async () => {
  await visit(browser, {}, async (page) => {
    const pictures = [];
    for (const amount of ["0", "900"]) {
      if (amount !== "0") {
        const start = await raised();
        await page.goto(campaignPage);
        await page.getByLabel("Autre montant").fill("9");
        await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
        await pay(page);
        await page.getByText("est bien arrivé").waitFor();
        await raisedBecomes(start + 900);
        // Public pages are a second old at most.
        await page.waitForTimeout(1100);
      }
      await page.goto(campaignPage);
      const [address] = (await headOf(page)).picture;
      pictures.push([address, (await (await page.request.get(address)).body()).toString("base64")]);
    }
    assert.notEqual(pictures[0][0], pictures[1][0]);
    assert.notEqual(pictures[0][1], pictures[1][1]);
  });
});

test("codes and a poster are there for everybody, in both languages", async () => {
  for (const [path, type, begins] of [["qr.svg", /svg/, "<svg"], ["qr.png", /png/, "\x89PNG"], ["poster.pdf", /pdf/, "%PDF-"], ["poster.pdf?lang=en", /pdf/, "%PDF-"]]) {
    const answer = await fetch(`${campaignPage}/${path}`);
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers.get("content-type"), type);
    assert.equal(Buffer.from(await answer.arrayBuffer()).subarray(0, begins.length).toString("latin1"), begins);
  }
});

test("what is not public has no picture, no code and no description", async () => {
  const draft = campaignPage.replace(/[^/]+$/, "brouillon");
  for (const path of ["", "/picture.png", "/qr.svg", "/qr.png", "/poster.pdf"]) {
    assert.equal((await fetch(draft + path)).status, 404, path);
  }
  assert.equal((await fetch(`${service}/oembed?url=${encodeURIComponent(draft)}`)).status, 404);
  assert.equal((await fetch(`${service}/oembed?url=${encodeURIComponent(`${site}/soutenir`)}`)).status, 404);
});

test("an allowed site gets a frame from oEmbed", async () => {
  const address = `${service}/oembed?url=${encodeURIComponent(campaignPage)}&maxwidth=500`;
  const allowed = await (await fetch(address, { headers: { Origin: site } })).json();
  assert.equal(allowed.type, "rich");
  assert.equal(allowed.width, 500);
  assert.match(allowed.html, /\/embed\?lang=fr&amp;origin=/);
  const other = await (await fetch(address, { headers: { Origin: "https://ailleurs.example" } })).json();
  assert.equal(other.type, "link");
});

test("search engines find what chose to be found", async () => {
  assert.match(await (await fetch(`${service}/robots.txt`)).text(), new RegExp(`Sitemap: ${service}/sitemap.xml`));
  const map = await (await fetch(`${service}/sitemap.xml`)).text();
  assert.match(map, new RegExp(`<loc>${service}/</loc>`));
  // The campaign of these specs is not listed, so neither it nor its collective is named.
  assert.doesNotMatch(map, /\/c\//);
});

test("the pages with links to share are accessible, unfolded, in both languages", async () => {
  for (const lang of ["fr", "en"]) {
    await visit(browser, { viewport: { width: 390, height: 844 } }, async (page) => {
      await page.goto(`${campaignPage}?lang=${lang}`);
      await page.locator("details.share > summary").click();
      await accessible(page);
    });
  }
});
