// What every spec needs: one browser, and visitors who note what a page must not do.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const env = (name) => {
  assert.ok(process.env[name], `${name} is not set: run these specs through go test ./services/internal/app/e2e`);
  return process.env[name];
};

export const service = env("CAGNOTTE_URL");
export const site = env("CAGNOTTE_SITE");
export const stripe = env("CAGNOTTE_STRIPE");
export const campaign = env("CAGNOTTE_CAMPAIGN");
export const hostPage = `${site}/soutenir`;
export const campaignPage = `${service}/c/${campaign.replace("collectives/", "").replace("campaigns/", "")}`;
export const donationsURL = `${service}/v1/${campaign}/donations`;

/** How long anything may take that comes at last, on a machine that has much else to do. */
const patience = 60_000;

export const launch = () =>
  chromium.launch({
    executablePath: env("CHROME"),
    args: [
      "--no-sandbox", // as root there is none
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
      // A page that a spec makes up comes from no address, and Chromium would keep it from this machine's.
      "--disable-features=LocalNetworkAccessChecks",
    ],
  });

/**
 * Opens a fresh browser profile, runs the visit, and then checks what holds for every visit: no console error (a
 * refused Content-Security-Policy is one), no request to a fourth origin, no cookie, nothing stored.
 * `expected` are console errors that the visit provokes on purpose, `cookies` those that a member needs, and `origins` those
 * of other sites that it opens.
 */
export async function visit(browser, options, run) {
  const { expected = /^$/, cookies: allowed = [], origins = [], ...contextOptions } = options;
  const context = await browser.newContext({ locale: "fr-FR", ...contextOptions });
  const wrong = [];
  context.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== "data:" && ![service, site, stripe, ...origins].includes(origin)) wrong.push(`a request to ${request.url()}`);
  });
  context.on("console", (message) => {
    // A declined card is answered with 402 by the payment page, which the console calls an error.
    const theirs = message.location().url.startsWith(stripe);
    if (message.type() === "error" && !theirs && !expected.test(message.text())) wrong.push(`console: ${message.text()}`);
  });
  context.on("weberror", (error) => wrong.push(`script: ${error.error()}`));
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  try {
    await run(page, context);
    const cookies = await context.cookies();
    assert.deepEqual(cookies.map((cookie) => cookie.name).filter((name) => !allowed.includes(name)), [], "somebody set a cookie");
    if (options.javaScriptEnabled !== false) {
      const stored = await page.evaluate(() => localStorage.length + sessionStorage.length);
      assert.equal(stored, 0, "somebody stored something");
    }
    assert.deepEqual(wrong, []);
  } finally {
    await context.close();
  }
}

/** What the console has pasted into a page, for a campaign as the specs have one. */
export const snippet = ({ name = campaign, lang = "fr", attributes = "" } = {}) =>
  `<cagnotte-widget campaign="${name}" lang="${lang}" style="display:block;min-height:48em" ${attributes}><a href="${campaignPage}">Donner</a></cagnotte-widget>`;

/** Answers the made-up page /essai of a site with this body, and returns its address. `head` begins with the script. */
export async function hosting(page, body, { head = `<script defer src="${service}/widget.js"></script>`, html = 'lang="fr"', origin = site, headers = {} } = {}) {
  const address = `${origin}/essai`;
  await page.route(address, (route) => route.fulfill({
    contentType: "text/html; charset=utf-8",
    headers,
    body: `<!doctype html><html ${html}><head><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>Essai</title>${head}</head><body><main><h1>Notre village</h1>${body}<p id="below">${"Prochaine réunion jeudi, sur la place. ".repeat(60)}</p></main></body></html>`,
  }));
  return address;
}

/** Has the campaign answered as if something about it were different. */
export async function pretend(page, change) {
  await page.route(`${service}/v1/${campaign}`, async (route) => {
    const response = await route.fetch();
    const json = await response.json();
    change(json);
    // The text that replaces the answer is not compressed.
    const { "content-encoding": _, "content-length": __, ...headers } = response.headers();
    await route.fulfill({ status: 200, headers, json });
  });
}

/** The amount that the service says has come in, in cents. */
export async function raised() {
  const answer = await fetch(`${service}/v1/${campaign}`).then((response) => response.json());
  return Number(answer.progress?.settled?.amount_minor ?? 0);
}

/**
 * Waits for the booked amount: webhooks and the ledger take a moment. Every visit that pays ends so, or the next one
 * would take what is booked late for its own.
 */
export async function raisedBecomes(cents) {
  const deadline = Date.now() + patience;
  while ((await raised()) !== cents) {
    assert.ok(Date.now() < deadline, `the progress is ${await raised()}, not ${cents}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The text of the newest mail that matches, that was not given before. Mails take a moment. */
export async function lastMail(pattern) {
  for (const deadline = Date.now() + patience; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const mails = await fetch(`${site}/mails`).then((response) => response.json());
    const at = mails.findLastIndex((text, i) => i >= mailsRead && pattern.test(text));
    if (at >= 0) {
      mailsRead = at + 1;
      return mails[at];
    }
    assert.ok(Date.now() < deadline, `no mail like ${pattern}: ${mails}`);
  }
}
let mailsRead = 0;

/** Text as people see it, with every kind of space made plain. */
export const seen = async (locator) => (await locator.innerText()).replace(/[\s\u00a0\u202f]+/g, " ").trim();

/** What the widget writes for an amount of euros, in French, with plain spaces. */
export const euros = (cents) =>
  new Intl.NumberFormat("fr-FR", { style: "currency", currency: "EUR", minimumFractionDigits: cents % 100 ? 2 : 0 })
    .format(cents / 100)
    .replace(/[\u00a0\u202f]/g, " ");

/** Pays on the simulated Checkout with whatever card stands in the form, or this one. Beside it may be the form of debits. */
export async function pay(page, card) {
  await page.waitForURL((url) => url.origin === stripe);
  if (card) await page.locator("#card").fill(card);
  await page.locator("form:has(#card) button[type=submit]").click();
}
