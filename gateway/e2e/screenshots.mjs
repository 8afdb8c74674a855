// Takes the pictures of the README from a running demo: node screenshots.mjs FOLDER, with CHROME set to the browser.
// `make screenshots` starts the demo and calls this.
import { join } from "node:path";
import { chromium } from "playwright-core";

const folder = process.argv[2];
const service = "http://127.0.0.1:8080";
const site = "http://127.0.0.1:8090";
const page = `${service}/c/vallon-contre-cameras/avocate`;

const desktop = { width: 1100, height: 900 };
const phone = { width: 390, height: 844 };

const browser = await chromium.launch({ executablePath: process.env.CHROME, args: ["--no-sandbox", "--disable-gpu"] });

/** Opens an address in a fresh profile, lets `prepare` act in it, and takes a picture of the page or of what `prepare` returns. */
async function picture(name, address, viewport, prepare = async () => {}) {
  const context = await browser.newContext({ locale: "fr-FR", viewport, deviceScaleFactor: 1 });
  const tab = await context.newPage();
  await tab.goto(address, { waitUntil: "networkidle" });
  const part = (await prepare(tab)) ?? tab;
  await part.screenshot({ path: join(folder, `${name}.png`), animations: "disabled" });
  await context.close();
  console.log(`${name}.png`);
}

try {
  await picture("widget", `${site}/?lang=fr`, { width: 760, height: 900 }, async (tab) => {
    const widget = tab.locator("cagnotte-widget");
    await widget.getByRole("radio", { name: "20 €" }).check();
    return widget;
  });
  await picture("campaign", page, desktop);
  await picture("campaign-phone", page, phone);
} finally {
  await browser.close();
}
