// Takes pictures of a running demo: node screenshots.mjs [readme] [guide] [console], with CHROME set to the browser.
// `make screenshots` starts the demo and calls this.
//
// The pictures of the README and of the guide are part of the repository. Those of the console are for who looks at it: each
// page and each state, on a phone and on a desktop, light and dark, in both languages, in .dev/screenshots.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { collective, desktop, home, member, open, phone, profile, service, site } from "./demo.mjs";
import { guide } from "./screenshots-guide.mjs";
import { states } from "./screenshots-states.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const gallery = join(root, ".dev/screenshots");
const parts = process.argv.length > 2 ? process.argv.slice(2) : ["readme", "guide", "console"];

const browser = await chromium.launch({ executablePath: process.env.CHROME, args: ["--no-sandbox", "--disable-gpu"] });

/** Opens an address in a fresh profile, lets `prepare` act in it, and takes a picture of the page or of what `prepare` returns. */
async function readme(name, address, viewport, prepare = async () => {}) {
  const context = await profile(browser, { viewport });
  const tab = await context.newPage();
  await tab.goto(address, { waitUntil: "networkidle" });
  const part = (await prepare(tab)) ?? tab;
  await part.screenshot({ path: join(root, "gateway/screenshots", `${name}.png`), animations: "disabled" });
  await context.close();
}

let taken = 0;

/** Takes the page as it is: on a phone and a desktop, light and dark. SHORT takes each only once in each language. */
async function variants(tab, name) {
  const lang = await tab.getAttribute("html", "lang");
  const short = process.env.SHORT && { viewport: lang === "fr" ? phone : desktop, colorScheme: lang === "fr" ? "light" : "dark" };
  for (const viewport of [phone, desktop]) {
    if (short && short.viewport !== viewport) continue;
    await tab.setViewportSize(viewport);
    if (await tab.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth + 1)) {
      console.log(`${name}: something is wider than ${viewport.width} pixels (${lang})`);
    }
    for (const colorScheme of short ? [short.colorScheme] : ["light", "dark"]) {
      await tab.emulateMedia({ colorScheme });
      await tab.screenshot({ path: join(gallery, `${name}.${viewport.width}.${lang}.${colorScheme}.png`), fullPage: true, animations: "disabled" });
      taken++;
    }
  }
  await tab.emulateMedia({ colorScheme: null });
  await tab.setViewportSize(phone);
}

/** The address with a language. */
const inLanguage = (path, lang) => {
  const url = new URL(path, service);
  url.searchParams.set("lang", lang);
  return url.pathname + url.search;
};

async function picture(tab, name, { again = false } = {}) {
  await variants(tab, `state-${name}`);
  if (!again) return;
  const here = tab.url();
  await tab.goto(inLanguage(here, "en"));
  await variants(tab, `state-${name}`);
  await tab.goto(here);
}

// Pages of one form have one pattern: how many of each are taken.
const samples = 2;
const skipped = /\/(export(?!s)|images|attachments|sign-out|qr\.|preview)|\.pdf\b|[?&](lang|page|download)=/;
const pattern = (path) => path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}|\b(po|acct|evt|du|re)_\w+|(?<=\/(?:journal|accounts)\/)[\w.-]+/g, "ID").replace(/=[^&]*/g, "=");

/** Follows the links from a page, as somebody with this role, and takes each page that nobody's look had before. */
async function crawl(role, start, looks) {
  const context = await member(browser, role);
  const queue = [start];
  const seen = new Set(queue);
  const counts = new Map();
  const tab = await context.newPage();
  try {
    for (let path; (path = queue.shift()); ) {
      const answer = await open(tab, inLanguage(path, "fr"));
      if (!answer || !answer.headers()["content-type"]?.startsWith("text/html")) continue;
      if (answer.status() >= 400) console.log(`${answer.status()} ${role} ${path}`);
      for (const href of await tab.$$eval("a[href]", (all) => all.map((a) => a.href))) {
        const url = new URL(href);
        const to = url.pathname + url.search;
        if (url.origin !== service || !url.pathname.startsWith("/console/") || skipped.test(to) || seen.has(to)) continue;
        seen.add(to);
        const form = pattern(to);
        counts.set(form, (counts.get(form) ?? 0) + 1);
        if (counts.get(form) <= samples) queue.push(to);
      }
      const look = await tab.locator("main").innerText();
      if (looks.has(look)) continue;
      looks.add(look);
      const name = `${role}-${path.replace(`${home}`, "").replace(/^\/console(\/c)?\//, "").replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "").slice(0, 90) || "home"}`;
      await variants(tab, name);
      await open(tab, inLanguage(path, "en"));
      await variants(tab, name);
    }
  } finally {
    await tab.close();
  }
  console.log(`${role}: ${seen.size} addresses`);
}

/** Takes what everybody sees: the public pages, and the guide. */
async function openToAll() {
  const tab = await (await profile(browser)).newPage();
  await tab.goto("/guide");
  const guides = await tab.$$eval("main a[href^='/guide/']", (all) => all.map((a) => a.pathname));
  for (const path of [`/c/${collective}`, `/c/${collective}/avocate`, "/c/festival-technopolice", "/guide", ...guides]) {
    for (const lang of ["fr", "en"]) {
      await tab.goto(inLanguage(path, lang));
      // The last picture of a long page is loaded when it comes near.
      await tab.evaluate(() => document.querySelectorAll("img").forEach((image) => { image.loading = "eager"; }));
      await tab.waitForLoadState("networkidle");
      await variants(tab, `public${path.replace(/\W+/g, "-")}`);
    }
  }
  await tab.context().close();
}

try {
  if (parts.includes("readme")) {
    await readme("widget", `${site}/?lang=fr`, { width: 760, height: 900 }, async (tab) => {
      const widget = tab.locator("cagnotte-widget");
      await widget.getByRole("radio", { name: "20 €" }).check();
      return widget;
    });
    await readme("campaign", `${service}/c/${collective}/avocate`, desktop);
    await readme("campaign-phone", `${service}/c/${collective}/avocate`, phone);
  }
  const failures = [];
  if (parts.includes("guide") || parts.includes("console")) {
    await rm(gallery, { recursive: true, force: true });
    await mkdir(gallery, { recursive: true });
    failures.push(...(await states(browser, parts.includes("console") ? picture : async () => {})));
  }
  if (parts.includes("guide")) failures.push(...(await guide(browser, join(root, "gateway/guide/pages/pictures"))));
  if (parts.includes("console")) {
    const looks = new Set();
    for (const [role, start] of [
      ["owner", home], ["owner", "/console/me"], ["operator", "/console/instance"], ["newcomer", "/console/c/atelier-velo"],
      ["treasurer", home], ["editor", home], ["auditor", home],
    ]) {
      await crawl(role, start, looks);
    }
    await openToAll();
    console.log(`${taken} pictures in ${gallery}`);
  }
  for (const failure of failures) console.log(`not taken: ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
} finally {
  await browser.close();
}
