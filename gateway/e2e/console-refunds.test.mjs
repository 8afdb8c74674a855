// Refunds (task 31), a second person (32), disputes and warnings of fraud (33), and the log that says who did what.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, act, donate, download, emailOf, home, keyboardWalk, member } from "./console.mjs";
import { launch, seen } from "./visitor.mjs";

const refunds = `${home}/refunds`;
const disputes = `${home}/disputes`;
const log = `${home}/settings/audit`;

let browser;
before(async () => {
  browser = await launch();
  await act("refund-limit");
});
after(() => browser.close());

/** Gives an amount and opens the form of its refund. */
async function formOfNewDonation(page) {
  await page.goto(`${home}/donations`);
  await page.locator("td.number a.strong").first().click();
  await page.getByRole("link", { name: "Rembourser" }).click();
  await page.getByRole("heading", { name: "Rembourser un don" }).waitFor();
}

/** Reloads until the text is there: a job asks Stripe. */
async function becomes(page, text) {
  const deadline = Date.now() + 60_000;
  while (!(await page.locator("main").innerText()).includes(text)) {
    assert.ok(Date.now() < deadline, `the page does not say ${text}`);
    await page.waitForTimeout(200);
    await page.reload();
  }
}

test("a treasurer refunds a part of a donation, without JavaScript", async () => {
  await donate(browser, 20);
  await member(browser, "treasurer", { javaScriptEnabled: false, expected: /422/ }, async (page) => {
    await formOfNewDonation(page);
    // What is missing or wrong is said at its field, and what was typed stays.
    await page.locator("#amount").fill("500 000");
    await page.getByLabel("La personne l’a demandé").check();
    await page.getByRole("button", { name: "Demander le remboursement" }).click();
    await page.locator("#errors").waitFor();
    assert.equal(await page.locator("#amount").inputValue(), "500 000");
    await page.locator("#amount").fill("5");
    await page.getByRole("button", { name: "Demander le remboursement" }).click();
    await page.getByText("Le remboursement est demandé.").waitFor();
    assert.equal(await seen(page.locator("h1")), "Remboursement de 5 €");
    await becomes(page, "Fait");
    // A reload sends nothing again: the list has one.
    await page.reload();
    await page.goto(refunds);
    assert.equal(await page.locator("tbody tr").count(), 1);
  });
});

test("two persons and a refund: who asked cannot approve, and the other one can", async () => {
  await donate(browser, 50);
  let address;
  await member(browser, "treasurer", {}, async (page) => {
    await formOfNewDonation(page);
    await page.locator("#amount").fill("15");
    await page.getByLabel("Autre raison").check();
    await page.getByRole("button", { name: "Demander le remboursement" }).click();
    await page.getByText("Une seconde personne doit l’approuver.").waitFor();
    address = page.url().split("?")[0];
    assert.equal(await page.getByRole("link", { name: "Approuver" }).count(), 0);
    assert.equal(await page.getByRole("link", { name: "Retirer ma demande" }).count(), 1);
    // Who finds the address of the form is led back, and who sends it all the same is refused by the service.
    await page.goto(`${address}/approve`);
    assert.equal(page.url(), address);
    await page.getByText("Vous avez fait cette demande.").waitFor();
    const response = await page.request.post(`${address}/approve`, { form: {} });
    assert.equal(response.status(), 422);
    assert.match(await response.text(), /id="errors"/);
  });
  await member(browser, "owner", {}, async (page) => {
    await page.goto(refunds);
    await page.getByRole("heading", { name: "En attente d’une seconde personne" }).waitFor();
    await page.locator("main ul.rows a").first().click();
    await page.getByRole("link", { name: "Approuver" }).click();
    await page.getByText("C’est définitif").waitFor();
    await accessible(page);
    await page.getByRole("button", { name: "Approuver et rembourser" }).click();
    await page.getByText("Le remboursement est approuvé.").waitFor();
    await becomes(page, "Fait");
    assert.match(await seen(page.locator("main")), new RegExp(`Demandé par Camille \\(${emailOf("treasurer")}\\)`));
  });
});

test("a refund is rejected, and another is canceled by who asked", async () => {
  await donate(browser, 60);
  const ask = async (page) => {
    await formOfNewDonation(page);
    await page.locator("#amount").fill("20");
    await page.getByLabel("Donné deux fois par erreur").check();
    await page.getByRole("button", { name: "Demander le remboursement" }).click();
    await page.getByText("Une seconde personne doit l’approuver.").waitFor();
  };
  await member(browser, "treasurer", {}, ask);
  await member(browser, "owner", {}, async (page) => {
    await page.goto(refunds);
    await page.locator("main ul.rows a").first().click();
    await page.getByRole("link", { name: "Refuser" }).click();
    await page.getByRole("button", { name: "Refuser" }).click();
    await page.getByText("Le remboursement est refusé.").waitFor();
  });
  await member(browser, "treasurer", {}, async (page) => {
    await ask(page);
    await page.getByRole("link", { name: "Retirer ma demande" }).click();
    await page.getByRole("button", { name: "Retirer la demande" }).click();
    await page.getByText("La demande est retirée.").waitFor();
    // The list can be filtered, and the filter stays in the address.
    await page.goto(`${refunds}?state=REFUND_STATE_CANCELED`);
    assert.equal(await page.locator("tbody tr").count(), 1);
  });
});

test("a dispute says how many days are left and what to do, and leads to Stripe", async () => {
  await donate(browser, 30);
  await act("dispute");
  await member(browser, "treasurer", {}, async (page) => {
    await page.goto(disputes);
    await becomes(page, "Réponse attendue");
    assert.match(await seen(page.locator("tbody tr").first()), /30 € .*\d+ jours? pour répondre/);
    await page.locator("td.number a").first().click();
    await page.getByRole("heading", { name: "Que faire" }).waitFor();
    assert.equal(await page.locator("ol.steps li").count(), 4);
    assert.match(await page.getByRole("link", { name: "Répondre chez Stripe" }).getAttribute("href"), /^https?:\/\/\S+/);
    await keyboardWalk(page);
  });
});

test("a warning of fraud leads to the refund that avoids a dispute", async () => {
  await donate(browser, 40);
  await act("fraud-warning");
  await member(browser, "treasurer", {}, async (page) => {
    await page.goto(`${disputes}/warnings`);
    await becomes(page, "Rembourser");
    await accessible(page, `${disputes}/warnings`);
    await page.goto(`${disputes}/warnings?lang=fr`);
    await page.locator("main").getByRole("link", { name: "Rembourser", exact: true }).first().click();
    await page.getByText("Ce don est de 40 €").waitFor();
  });
});

test("the log says who did what, is filtered and exported, and editors do not see it", async () => {
  await member(browser, "owner", { acceptDownloads: true }, async (page) => {
    await page.goto(log);
    const text = await seen(page.locator("main"));
    assert.match(text, /Camille \(owner@example\.org\) a approuvé un remboursement/);
    assert.match(text, /Camille \(treasurer@example\.org\) a demandé un remboursement/);
    assert.match(text, /attend une seconde personne → approuvé/);
    await keyboardWalk(page);
    await page.goto(`${log}?method=${encodeURIComponent("cagnotte.refunds.v1.RefundsService/ApproveRefund")}`);
    assert.equal(await page.locator("ol.rows > li").count(), 1);
    const file = await download(page, () => page.getByRole("link", { name: "Télécharger pour un tableur (CSV)" }).click());
    assert.match(file.name, /\.audit\.csv$/);
    assert.match(file.text, /ApproveRefund.*state,awaiting_approval,approved/);
  });
  await member(browser, "editor", { expected: /404/ }, async (page) => {
    const answer = await page.goto(log);
    assert.equal(answer.status(), 404);
  });
});
