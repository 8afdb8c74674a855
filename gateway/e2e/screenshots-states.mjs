// Brings the demo into the states that pages show: empty, full, refused, to be confirmed, waiting for somebody else, done. All
// of it goes through the console, as members do it.
import { readFileSync } from "node:fs";
import { atStripe, campaign, day, home, mailedLink, member, open, profile, remember, stripe } from "./demo.mjs";

const iban = "FR7630006000011234567890189";
const instance = "/console/instance";
const leaflet = { name: "facture.png", mimeType: "image/png", buffer: readFileSync(new URL("../screenshots/widget.png", import.meta.url)) };
const poster = { name: "village.png", mimeType: "image/png", buffer: readFileSync(new URL("../screenshots/campaign.png", import.meta.url)) };

/** A bank's statement in CSV, with lines of [days ago, text, amount]. */
const statement = (lines) => ({
  name: "releve.csv", mimeType: "text/csv",
  buffer: Buffer.from("Date;Libellé;Montant\n" + lines.map(([ago, text, amount]) => `${day(ago).split("-").reverse().join("/")};${text};${amount}\n`).join("")),
});

/** Fills a form. Keys are the ids of fields; true ticks one, an object is a file. */
export async function fill(tab, values) {
  for (const [id, value] of Object.entries(values)) {
    const field = tab.locator(`[id="${id}"]`);
    if (value === true) await field.check();
    else if (typeof value === "object") await field.setInputFiles(value);
    else if ((await field.evaluate((e) => e.tagName)) === "SELECT") await field.selectOption(value);
    else await field.fill(value);
  }
}

/** Sends a form by its first button, which stores where there are several, and waits for the answer. */
export async function send(tab, form = "main form[method=post]") {
  const before = await tab.evaluate(() => performance.timeOrigin);
  await tab.locator(form).first().evaluate((e) => {
    e.noValidate = true;
    e.requestSubmit(e.querySelector("button:not([type=button])"));
  });
  await tab.waitForFunction((then) => performance.timeOrigin !== then && document.readyState === "complete", before);
}

/** The forms that are refused: who, where, and what is filled in. */
const refused = [
  ["owner", `${home}/campaigns/new`, { title: "", goal: "beaucoup" }],
  ["owner", `${campaign}/texts`, { "title-fr": "" }],
  ["owner", `${campaign}/amounts`, { goal: "", minimum: "800", maximum: "5" }],
  ["owner", `${campaign}/sites`, { sites: "pas un site" }],
  ["owner", `${campaign}/rename`, { id: "É" }],
  ["owner", `${home}/news/avocate/new`, { "title-fr": "" }],
  ["owner", `${home}/donations/new?method=cheque`, { amount: "douze", receive_date: "2031-01-01" }],
  ["owner", `${home}/expenses/new`, {}],
  ["owner", `${home}/bank/import`, { file: { name: "releve.pdf", mimeType: "application/pdf", buffer: Buffer.from("%PDF-1.7") } }],
  ["owner", `${home}/books/closing`, {}],
  ["owner", `${home}/books/new-account`, { account_id: "?", display_name: "" }],
  ["owner", `${home}/settings/general`, { display_name: "" }],
  ["owner", `${home}/settings/bank`, { holder: "", iban: "FR76 1234" }],
  ["owner", `${home}/settings/alerts`, { alert_emails: "pas une adresse" }],
  ["owner", `${home}/settings/people/invite`, { email: "pas une adresse" }],
  ["owner", `${home}/settings/keys/new`, {}],
  ["owner", `${home}/settings/identity`, { website: "pas une adresse" }],
  ["owner", "/console/me", { display_name: "" }],
  ["operator", `${instance}/collectives/new`, { display_name: "", collective_id: "É" }],
  ["operator", `${instance}/collectives/technopolice-marseille/suspend`, {}],
];

/**
 * Walks through the states. picture(tab, name) takes the page as it is; with { again: true } it can be loaded again, in the
 * other language too.
 */
export async function states(browser, picture) {
  const as = async (role, act) => {
    const tab = await (await member(browser, role)).newPage();
    tab.setDefaultTimeout(20_000);
    try {
      await act(tab);
    } finally {
      await tab.close();
    }
  };
  const step = async (name, role, act) => {
    try {
      await as(role, act);
    } catch (error) {
      failures.push(`${name}: ${error.message.split("\n")[0]}`);
    }
  };
  const failures = [];
  const done = (tab, name) => picture(tab, `done-${name}`, { again: true });

  await step("signed out", "owner", async () => {
    const tab = await (await profile(browser)).newPage();
    await tab.goto("/console/sign-in");
    await picture(tab, "sign-in", { again: true });
    await fill(tab, { email: "camille" });
    await send(tab);
    await picture(tab, "sign-in-refused");
    for (const [path, name] of [["sign-in/sent", "sign-in-sent"], ["sign-in/link?token=old", "sign-in-link"], ["sign-in/invitation?token=old", "invitation-old"], ["apply", "apply-closed"]]) {
      await tab.goto(`/console/${path}`);
      await picture(tab, name, { again: true });
    }
    await tab.context().close();
  });

  // A collective that has nothing yet.
  await step("a new collective", "operator", async (tab) => {
    await open(tab, `${instance}/start`);
    await picture(tab, "start-before", { again: true });
    await tab.goto(`${instance}/collectives/new`);
    await fill(tab, { display_name: "Atelier vélo du Vallon", collective_id: "atelier-velo", email: "jeanne@example.org" });
    await tab.locator("input[name=own]").first().check();
    const invitation = await mailedLink("invitation", () => send(tab));
    await done(tab, "new-collective");
    const newcomer = await profile(browser);
    const theirs = await newcomer.newPage();
    await theirs.goto(invitation);
    await picture(theirs, "invitation", { again: true });
    await fill(theirs, { display_name: "Jeanne" });
    await send(theirs);
    await picture(theirs, "invitation-accepted", { again: true });
    await theirs.close();
    remember("newcomer", newcomer);
  });
  await step("applications", "operator", async (tab) => {
    await open(tab, `${instance}/applications`);
    await tab.locator("main form[method=post] input[type=radio]").nth(1).check();
    await send(tab);
    await done(tab, "opening");
    const tab2 = await (await profile(browser)).newPage();
    await tab2.goto("/console/apply");
    await picture(tab2, "apply", { again: true });
    await send(tab2);
    await picture(tab2, "apply-refused");
    for (const [id, name] of [["jardin-partage", "Jardin partagé"], ["radio-vallon", "Radio Vallon"]]) {
      await tab2.goto("/console/apply");
      await fill(tab2, { display_name: name, collective_id: id, purpose: "Acheter des outils et un abri, et payer l’assurance de l’année.", applicant: "Noé", email: `noe@${id}.example` });
      await send(tab2);
    }
    await picture(tab2, "apply-sent", { again: true });
    await tab2.context().close();
    await tab.goto(`${instance}/applications`);
    await tab.locator("main a[href*='/applications/']").first().click();
    await picture(tab, "application", { again: true });
    await open(tab, `${new URL(tab.url()).pathname}/reject`);
    await picture(tab, "application-reject", { again: true });
  });
  await step("instance", "operator", async (tab) => {
    await open(tab, `${instance}/start`);
    await send(tab, "form[action$='/start/mail']");
    await tab.goto(`${instance}/stripe`);
    await send(tab, "form[action$='/stripe/check']");
    await done(tab, "stripe-checked");
    await tab.goto(`${instance}/verification`);
    await send(tab);
    await tab.waitForTimeout(3000);
    await tab.goto(`${instance}/collectives/festival-technopolice/suspend`);
    await fill(tab, { reason: "Le compte bancaire est celui d’une autre association." });
    await send(tab);
    await done(tab, "suspended");
  });

  // A campaign.
  await step("campaign", "editor", async (tab) => {
    await open(tab, `${home}/campaigns/new`);
    await fill(tab, { title: "Relire le dossier de la préfecture", goal: "450" });
    await send(tab);
    await done(tab, "new-campaign");
    await open(tab, `${campaign}/image`);
    await fill(tab, { image: poster });
    const alt = tab.locator("main form input[id^=alt]");
    for (let i = 0; i < (await alt.count()); i++) await alt.nth(i).fill(i ? "The village square" : "La place du village");
    await send(tab);
    await done(tab, "image");
    for (const [title, text, publish] of [
      ["Première audience le 12 mars", "Le tribunal a fixé la date. **Venez nombreux**, à 9 h devant le palais.", true],
      ["Le mémoire de la préfecture est arrivé", "Notre avocate le lit.", false],
    ]) {
      await tab.goto(`${home}/news/avocate/new`);
      await fill(tab, { "title-fr": title, "text-fr": text });
      await send(tab);
      if (publish) await send(tab, "main form[action$='/publish']");
    }
    await done(tab, "news");
    await tab.goto(`${campaign}/preview`);
    await picture(tab, "preview", { again: true });
    for (const verb of ["pause", "resume"]) {
      await open(tab, `${campaign}/${verb}`);
      await picture(tab, `campaign-${verb}`, { again: true });
      await send(tab);
      await done(tab, `campaign-${verb}`);
    }
    await open(tab, `${campaign}/copy`);
    await send(tab);
    await done(tab, "campaign-copied");
    await open(tab, `${new URL(tab.url()).pathname}/delete`);
    await send(tab);
    await done(tab, "campaign-deleted");
  });
  await step("menus", "owner", async (tab) => {
    for (const [name, summary] of [["menu", ".menu summary"], ["places", ".places summary"], ["account", ".account summary"], ["filters", ".filters summary"]]) {
      await tab.goto(`${home}/donations`);
      await tab.locator(summary).click();
      await picture(tab, `open-${name}`);
    }
    await tab.goto(`${home}/nowhere`);
    await picture(tab, "not-found", { again: true });
    await tab.goto(`/console/confirm?to=${home}/settings/bank`);
    await picture(tab, "confirm", { again: true });
    await tab.goto("/console/me/email/sent");
    await picture(tab, "email-sent", { again: true });
    await tab.goto("/console/me/email/confirm?token=old");
    await picture(tab, "email-confirm", { again: true });
  });

  // The treasurer's month.
  await step("expenses", "treasurer", async (tab) => {
    await open(tab, `${home}/expenses/new`);
    await fill(tab, { file: leaflet, payee: "Imprimerie du Vallon", document: "881", document_date: day(9), amount: "45" });
    await tab.locator("input[name=paid]").first().check();
    await send(tab);
    await done(tab, "expense");
  });
  await step("bank", "treasurer", async (tab) => {
    await open(tab, `${home}/bank/import`);
    const lines = statement([
      [8, "VIR SEPA IMPRIMERIE DU VALLON FACTURE 881", "-45,00"], [6, "VIR RECU DON DE LA FETE", "60,00"], [5, "REM CHQ 0000123", "70,00"],
      [4, "VIR HONORAIRES CABINET MARTIN 2026-058", "-120,00"], [3, "VIREMENT RECU", "7,77"], [2, "FRAIS DE TENUE DE COMPTE", "-2,10"], [1, "VIR STRIPE PAYMENTS", "31,40"],
    ]);
    await fill(tab, { file: lines });
    await send(tab);
    await picture(tab, "bank-preview");
    await send(tab, "main form[action$='/confirmed']");
    await done(tab, "bank-imported");
    const line = async (amount) => {
      await tab.goto(`${home}/bank`);
      await tab.locator("tbody tr").filter({ hasText: amount }).getByRole("link").first().click();
      await tab.waitForLoadState();
      return new URL(tab.url()).pathname;
    };
    const printer = await line("45");
    await picture(tab, "bank-line-suggested", { again: true });
    await send(tab, ".cards form");
    await done(tab, "bank-matched");
    await open(tab, `${printer}/undo`);
    await picture(tab, "bank-undo", { again: true });
    await send(tab);
    await picture(tab, "bank-undo-refused");
    const fee = await line("2,10");
    await open(tab, `${fee}/ignore`);
    await fill(tab, { reason: "Frais payés par une autre association" });
    await send(tab);
    const lawyer = await line("120");
    await open(tab, `${lawyer}/split`);
    await fill(tab, { amount0: "1" });
    await send(tab);
    await picture(tab, "bank-split-refused");
  });
  await step("cheques", "treasurer", async (tab) => {
    for (const [amount, number] of [["25", "0001234"], ["36", "0001235"]]) {
      await open(tab, `${home}/donations/new?method=cheque`);
      await fill(tab, { amount, receive_date: day(3), document: number });
      await send(tab);
    }
    await done(tab, "cheque");
    await open(tab, `${new URL(tab.url()).pathname}/reverse`);
    await picture(tab, "cheque-reverse", { again: true });
    await tab.goto(`${home}/bank/deposits`);
    await tab.locator("main a[href*='/deposits/']").first().click();
    await tab.locator("main a[href$='/bounce']").first().click();
    await picture(tab, "cheque-bounce", { again: true });
    await tab.goto(`${home}/bank/cheques`);
    for (const choice of (await tab.locator("main input[type=checkbox]").all()).slice(1)) await choice.uncheck();
    await send(tab);
    await done(tab, "deposit");
  });
  await step("refunds", "treasurer", async (tab) => {
    const ask = async (query, amount) => {
      await tab.goto(`${home}/donations?method=CONTRIBUTION_METHOD_CARD&state=CONTRIBUTION_STATE_RECEIVED&${query}`);
      await tab.goto(await tab.locator("td.number a.strong").last().getAttribute("href"));
      await tab.goto(await tab.locator("main a[href*='/refunds/new']").getAttribute("href"));
      await fill(tab, { amount });
      await tab.locator("input[name=reason]").first().check();
    };
    await ask("min=10&max=40", "500 000");
    await send(tab);
    await picture(tab, "refund-refused");
    await fill(tab, { amount: "5" });
    await send(tab);
    await done(tab, "refund");
    await ask("min=60", "");
    await send(tab);
    await done(tab, "refund-waits");
    await open(tab, `${new URL(tab.url()).pathname}/approve`);
    await picture(tab, "refund-approve-own", { again: true });
  });
  await step("a refund to approve", "owner", async (tab) => {
    await tab.goto(`${home}/refunds`);
    await tab.goto(await tab.locator("main ul.rows a").first().getAttribute("href"));
    const refund = new URL(tab.url()).pathname;
    await picture(tab, "refund-to-approve", { again: true });
    for (const what of ["approve", "reject"]) {
      await open(tab, `${refund}/${what}`);
      await picture(tab, `refund-${what}`, { again: true });
    }
  });
  await step("monthly", "treasurer", async (tab) => {
    await tab.goto(`${home}/donations/monthly`);
    await tab.locator("main a[href*='/monthly/']").first().click();
    await tab.waitForLoadState();
    await open(tab, `${new URL(tab.url()).pathname}/end`);
    await picture(tab, "monthly-end", { again: true });
    await tab.locator("input[name=when]").first().check();
    await send(tab);
    await done(tab, "monthly-ended");
  });
  await step("disputes", "treasurer", async () => {
    const sessions = await (await fetch(`${stripe}/_sim/sessions`)).json();
    const charge = sessions.map((s) => s.charge_id ?? s.ChargeID ?? s.charge).filter(Boolean).at(-4);
    await atStripe("warn_of_fraud", { charge });
  });
  await step("books", "treasurer", async (tab) => {
    await open(tab, `${home}/books/journal?kind=expense`);
    await tab.goto(await tab.locator("main a[href*='/journal/']").first().getAttribute("href"));
    const entry = new URL(tab.url()).pathname;
    await picture(tab, "entry", { again: true });
    await open(tab, `${entry}/reclassify`);
    await picture(tab, "reclassify", { again: true });
    await send(tab);
    await picture(tab, "reclassify-refused");
    await open(tab, `${home}/books/exports`);
    await picture(tab, "exports", { again: true });
  });

  // What waits for a second person.
  await step("changes", "owner", async (tab) => {
    await open(tab, `${home}/settings/bank`);
    await fill(tab, { holder: "Vallon contre caméras (nouveau compte)", iban });
    await send(tab);
    await done(tab, "bank-account-waits");
    await open(tab, `${home}/settings/people/invite`);
    await fill(tab, { email: "amina@example.org" });
    await tab.locator("input[name=role]").nth(1).check();
    await send(tab);
    await done(tab, "invited");
    await open(tab, `${home}/settings/people/invite`);
    await fill(tab, { email: "lea@example.org" });
    await tab.locator("input[name=role]").first().check();
    await send(tab);
    await done(tab, "invited-at-once");
    await open(tab, await tab.locator("main a[href$='/revoke']").first().getAttribute("href"));
    await picture(tab, "invitation-revoke", { again: true });
    await open(tab, `${home}/settings/keys/new`);
    await fill(tab, { display_name: "Export du mois" });
    await tab.locator("input[name=role]").nth(2).check();
    await send(tab);
    await picture(tab, "key-made");
    await tab.goto(`${home}/settings/approvals`);
    await tab.locator("main ul.rows a").last().click();
    await tab.waitForLoadState();
    const change = new URL(tab.url()).pathname;
    await picture(tab, "change-own", { again: true });
    await open(tab, `${change}/approve`);
    await picture(tab, "change-approve-own", { again: true });
  });
  await step("change", "treasurer", async (tab) => {
    await tab.goto(`${home}/settings/approvals`);
    await tab.locator("main ul.rows a").last().click();
    await tab.waitForLoadState();
    const change = new URL(tab.url()).pathname;
    await picture(tab, "change", { again: true });
    await open(tab, `${change}/approve`);
    await picture(tab, "change-approve", { again: true });
    await open(tab, `${home}/settings/approvals`);
    await tab.locator("main ul.rows a").first().click();
    await tab.waitForLoadState();
    await open(tab, `${new URL(tab.url()).pathname}/reject`);
    await send(tab);
    await done(tab, "change-rejected");
  });

  for (const [role, path, values] of refused) {
    await step(`refused ${path}`, role, async (tab) => {
      for (const lang of ["fr", "en"]) {
        await open(tab, `${path}${path.includes("?") ? "&" : "?"}lang=${lang}`);
        await fill(tab, values);
        await send(tab);
        await picture(tab, `refused-${path.replace(/^\/console(\/c)?\//, "").replace(/[^a-z]+/gi, "-")}`);
      }
    });
  }
  return failures;
}
