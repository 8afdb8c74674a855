// What can be measured of how the pages and the widget look.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { campaign, campaignPage, hosting, hostPage, launch, pretend, service, snippet, visit } from "./visitor.mjs";

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

/** The sum of all layout shifts that no press caused, as a browser counts them (https://web.dev/articles/cls). */
const shifts = () => {
  window.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
};

test("what stands below the widget hardly moves, whatever comes, early or late", async () => {
  const closed = (json) => Object.assign(json, { accepting_donations: false, accepting_cards: false, state: "CAMPAIGN_STATE_PAUSED" });
  const many = (json) => {
    json.presets = [5, 10, 20, 30, 50, 100].map((euros) => ({ currency_code: "EUR", amount_minor: String(euros * 100) }));
  };
  for (const [width, height] of [[360, 640], [390, 844], [390, 1216], [820, 1180], [1280, 800]]) {
    for (const [state, change] of [["open", () => {}], ["open with six amounts", many], ["paused", closed], ["without cards", (json) => (json.accepting_cards = false)], ["missing", null]]) {
      for (const late of width === 390 && height === 844 ? [false, true] : [true]) {
        await visit(browser, { viewport: { width, height }, expected: /status of 404|cagnotte-widget/ }, async (page) => {
          await page.addInitScript(shifts);
          if (change) await pretend(page, change);
          const held = (url, ms) => page.route(url, async (route) => {
            await new Promise((resolve) => setTimeout(resolve, ms));
            await route.fallback();
          });
          if (late) await held(`${service}/widget.js`, 700);
          await held(`${service}/v1/collectives/**`, 300);
          await page.goto(await hosting(page, snippet({ name: change ? campaign : `${campaign}-inconnue` })));
          await page.locator("cagnotte-widget .card").waitFor();
          // The entries of a frame are told after it.
          await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 50))));
          const shifted = await page.evaluate(() => window.shifted);
          assert.ok(shifted < 0.1, `${state}${late ? ", late" : ""}, at ${width} × ${height}: a layout shift of ${shifted.toFixed(3)}`);
        });
      }
    }
  }
});
