// What can be measured of how the pages and the widget look.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { campaign, campaignPage, hostPage, launch, service, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/**
 * Runs in the page: what has too little contrast by WCAG 2.2, 1.4.3 for text and 1.4.11 for the edges of what can
 * be filled in or chosen.
 */
function tooFaint() {
  const rgba = (color) => {
    const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
    return color.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const luminance = ([r, g, b]) =>
    [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const parent = (element) => element.parentElement ?? element.getRootNode().host;
  const behind = (element) => {
    for (let at = element; at; at = parent(at)) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const root = document.querySelector("cagnotte-widget")?.shadowRoot ?? document;
  for (const element of root.querySelectorAll("body *, section, section *")) {
    const style = getComputedStyle(element);
    const say = (what, got) => faint.push(`${what} of ${element.tagName}.${element.className} “${element.textContent.trim().slice(0, 30)}”: ${got.toFixed(2)}`);
    const text = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (text && element.getClientRects().length) {
      const got = ratio(rgba(style.color), behind(element));
      if (got < 4.5) say("text", got);
    }
    if (element.matches(".field input, input[type=radio] + span")) {
      const got = ratio(rgba(style.borderTopColor), behind(parent(element)));
      if (got < 3) say("edge", got);
    }
  }
  return faint;
}

test("text and edges have contrast enough, in the light and in the dark", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await visit(browser, { colorScheme, expected: /status of 404/ }, async (page) => {
      for (const path of ["", "/pledge", "/monthly/01890a5d-ac96-774b-bcce-b302099a8057", "/nothing/here"]) {
        await page.goto(campaignPage + path);
        assert.deepEqual(await page.evaluate(tooFaint), [], `${path || "the campaign"} in the ${colorScheme}`);
      }
      await page.goto(hostPage);
      await page.getByRole("button").waitFor();
      await page.evaluate((scheme) => document.documentElement.style.setProperty("color-scheme", scheme), colorScheme);
      assert.deepEqual(await page.evaluate(tooFaint), [], `the widget in the ${colorScheme}`);
    });
  }
});

test("what stands below the widget hardly moves when the campaign comes", async () => {
  for (const width of [390, 1280]) {
    await visit(browser, { viewport: { width, height: 800 } }, async (page) => {
      let release;
      const held = new Promise((resolve) => (release = resolve));
      await page.route(`${service}/v1/${campaign}`, async (route) => {
        await held;
        await route.continue();
      });
      await page.goto(hostPage);
      const top = async () => (await page.getByText("Prochaine réunion").boundingBox()).y;
      const early = await top();
      release();
      await page.getByRole("button").waitFor();
      const moved = Math.abs((await top()) - early);
      assert.ok(moved < 200, `at ${width} px it moves by ${moved} px`);
    });
  }
});
