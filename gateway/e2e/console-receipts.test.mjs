// Tax receipts: a collective declares that it issues them, a donor asks for one, and the treasurer opens who gave.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, desktop, download, gotoProved, home, member, phone, prove } from "./console.mjs";
import { campaignPage, launch, pay, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const receipts = `${home}/receipts`;
const keyFile = join(tmpdir(), `cle-${process.pid}.txt`);
let donation;

/** Keeps a picture of the page as it is, by phone and by desktop, for who looks at it. */
async function picture(page, name) {
  if (!process.env.CAGNOTTE_PICTURES) return;
  for (const size of [phone, desktop]) {
    await page.setViewportSize(size);
    await page.screenshot({ path: `${process.env.CAGNOTTE_PICTURES}/receipts-${name}-${size.width}.png`, fullPage: true });
  }
  await page.setViewportSize(phone);
}

/** Fills in a donor's form. */
async function fill(page, values) {
  for (const [label, value] of Object.entries(values)) await page.getByLabel(label, { exact: true }).fill(value);
}

const zoe = { Prénom: "Zoé", Nom: "Quillebeuf", "Numéro et rue": "77 impasse des Engoulevents", "Code postal": "29217", Ville: "Ploumoguer" };

test("the owner declares with a second person, and the treasurer makes a key by phone", async () => {
  let change;
  await member(browser, "owner", { javaScriptEnabled: false, expected: /status of 422/ }, async (page) => {
    await page.goto(receipts);
    await page.getByText("Aucun reçu n’est délivré").waitFor();
    await gotoProved(page, `${receipts}/declaration`);
    await page.getByLabel("Nom de l’organisme, comme dans ses statuts").fill("Les Amis du Vallon");
    await page.getByLabel("Adresse de l’organisme").fill("3 place de l’Église\n38000 Grenoble");
    await page.getByLabel("Objet").fill("Défense des libertés publiques");
    await page.getByLabel("Numéro RNA (W et neuf chiffres)").fill("X1");
    await page.getByLabel("Nom de la personne qui signe").fill("Marie Durand");
    await page.getByLabel("Sa fonction").fill("présidente");
    await page.getByLabel("Je déclare que l’organisme peut délivrer ces reçus.").check();
    await page.getByRole("button", { name: "Demander l’accord" }).click();
    await page.getByRole("alert").first().waitFor();
    await picture(page, "declaration-refused");
    await page.getByLabel("Numéro RNA (W et neuf chiffres)").fill("W381001234");
    await page.getByRole("button", { name: "Demander l’accord" }).click();
    await page.getByText("attend l’accord d’une seconde personne").first().waitFor();
    await picture(page, "asked");
    change = page.url().split("?")[0];
  });
  await member(browser, "treasurer", { acceptDownloads: true }, async (page) => {
    await gotoProved(page, `${change}/approve`);
    await page.getByRole("button", { name: "Donner mon accord" }).click();
    await page.getByText("le changement a pris effet").waitFor();
    await page.goto(receipts);
    await page.getByText("Il manque une clé").waitFor();
    await gotoProved(page, `${receipts}/keys/new`);
    const file = await download(page, () => page.getByRole("button", { name: "Créer et enregistrer la clé" }).click());
    assert.equal(file.name, "cle-recus-fiscaux.txt");
    assert.match(file.text, /^AGE-SECRET-KEY-1[0-9A-Z]{58}$/m);
    writeFileSync(keyFile, file.text);
    await page.getByText("est enregistré").waitFor();
    assert.match(await page.getByLabel("Partie publique").inputValue(), /^age1[0-9a-z]{58}$/);
    await picture(page, "key");
    await page.getByLabel("Nom de la clé").fill("Téléphone de la trésorerie");
    await page.getByLabel("J’ai enregistré la partie secrète, et j’en ai une copie.").check();
    const sent = page.waitForRequest((r) => r.method() === "POST");
    await page.getByRole("button", { name: "Ajouter la clé" }).click();
    assert.doesNotMatch((await sent).postData(), /AGE-SECRET-KEY/i);
    await page.getByText("La clé est ajoutée.").waitFor();
    await picture(page, "keys");
    for (const address of [receipts, `${receipts}/keys`, `${receipts}/keys/new`]) await accessible(page, address);
  });
});

test("a donor gets a receipt, and what cannot be printed is refused at its field", async () => {
  await visit(browser, { viewport: phone, acceptDownloads: true, expected: /status of 4(00|09)/ }, async (page) => {
    await page.goto(`${campaignPage}?lang=fr`);
    await page.getByLabel("Autre montant").fill("71");
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    // Without a script the page does not look again by itself; what is booked shows the card.
    donation = page.url().split("?")[0];
    const ask = page.getByRole("link", { name: "Demander un reçu fiscal" });
    for (let i = 0; i < 60 && (await ask.count()) === 0; i++) {
      await page.waitForTimeout(250);
      await page.goto(`${donation}?lang=fr&look=1`);
    }
    await picture(page, "donation");
    await accessible(page);
    await ask.click();
    await picture(page, "form");
    await accessible(page);
    await fill(page, { ...zoe, Nom: "<script>alert(1)</script>" });
    await page.getByRole("button", { name: "Télécharger le reçu" }).click();
    await page.locator("#last_name-error").waitFor();
    assert.equal(await page.getByLabel("Prénom", { exact: true }).inputValue(), "Zoé");
    await picture(page, "refused");
    await accessible(page);
    // What no browser sends: more than the field takes, and signs that change the direction.
    const id = await page.locator("input[name=request_id]").inputValue();
    for (const [name, value] of [["first_name", "x".repeat(1 << 20)], ["city", "a\u202eb"], ["street", "<b>"], ["postal_code", "\u0000"]]) {
      const form = { request_id: id, kind: "individual", first_name: "Zoé", last_name: "Q", street: "1 rue", postal_code: "1", city: "B", [name]: value };
      const response = await page.request.post(`${donation}/receipt?lang=fr`, { form });
      const text = await response.text();
      assert.equal(response.status(), 400, name);
      assert.match(text, new RegExp(`id="${name}-error"`), name);
      assert.ok(text.length < 40_000, `${name}: what is too long is sent back`);
    }
    await fill(page, zoe);
    const first = await download(page, () => page.getByRole("button", { name: "Télécharger le reçu" }).click());
    assert.match(first.name, /^recu-fiscal-\d{4}-\d{5}\.pdf$/);
    assert.equal(first.bytes.subarray(0, 5).toString(), "%PDF-");
    // A double click is the same receipt.
    const again = await download(page, () => page.getByRole("button", { name: "Télécharger le reçu" }).click());
    assert.ok(first.bytes.equals(again.bytes), "the second PDF differs");
    await fill(page, { Nom: "Autre" });
    await page.getByRole("button", { name: "Télécharger le reçu" }).click();
    await page.getByText("Un reçu a déjà été délivré pour ce don").first().waitFor();
    await picture(page, "exists");
    if (process.env.CAGNOTTE_PICTURES) writeFileSync(`${process.env.CAGNOTTE_PICTURES}/receipt.pdf`, first.bytes);
  });
});

test("tax receipts: the treasurer counts a year, opens who gave by phone, cancels and replaces", async () => {
  await member(browser, "treasurer", { expected: /status of 422/ }, async (page) => {
    await page.goto(receipts);
    await page.getByText(/71(,00)?\s€/).first().waitFor();
    await picture(page, "list");
    await accessible(page);
    await page.getByRole("link", { name: /^\d{4}-\d{5}$/ }).first().click();
    await picture(page, "one");
    await accessible(page);
    const one = page.url();
    await page.getByRole("button", { name: "Ouvrir l’identité" }).click();
    if (page.url().includes("/console/confirm")) {
      await prove(page);
      await page.goto(one);
      await page.getByRole("button", { name: "Ouvrir l’identité" }).click();
    }
    await page.getByRole("heading", { name: "qui a donné" }).waitFor();
    const sent = [];
    // The browser loads the icon when it likes.
    page.on("request", (r) => r.url().includes("/assets/icon-") || sent.push(r.url()));
    await page.getByLabel("Fichier de la clé").setInputFiles({ name: "autre.txt", mimeType: "text/plain", buffer: Buffer.from("rien") });
    await page.getByText("Cette clé n’ouvre pas ce reçu.").waitFor();
    await page.getByLabel("Fichier de la clé").setInputFiles({ name: "cle.txt", mimeType: "text/plain", buffer: readFileSync(keyFile) });
    for (const text of ["Quillebeuf", "77 impasse des Engoulevents", "Ploumoguer"]) await page.getByText(text).waitFor();
    assert.deepEqual(sent, [], "the page sent something while it opened the identity");
    await picture(page, "opened");
    await accessible(page);
    await page.goto(one);
    await page.getByRole("link", { name: "Annuler le reçu" }).click();
    await page.getByRole("button", { name: "Annuler le reçu" }).click();
    await page.getByRole("alert").first().waitFor();
    await page.getByLabel("Raison").fill("Adresse fausse");
    await page.getByRole("button", { name: "Annuler le reçu" }).click();
    await page.getByText("Le reçu est annulé.").waitFor();
    await picture(page, "canceled");
  });
  await visit(browser, { viewport: phone, acceptDownloads: true }, async (page) => {
    await page.goto(`${donation}?lang=fr`);
    await page.getByText("Vous pouvez en demander un autre").waitFor();
    await page.getByRole("link", { name: "Demander un reçu fiscal" }).click();
    await fill(page, zoe);
    await download(page, () => page.getByRole("button", { name: "Télécharger le reçu" }).click());
    await page.goto(`${donation}?lang=en`);
    await picture(page, "donation-en");
    await page.getByRole("link", { name: "Erase my name and address" }).click();
    await picture(page, "erase-en");
    await accessible(page);
    await page.getByRole("button", { name: "Erase" }).click();
    await page.getByText("Your name and address are no longer here.").waitFor();
  });
  await member(browser, "treasurer", {}, async (page) => {
    await page.goto(receipts);
    await page.getByRole("link", { name: /^\d{4}-\d{5}$/ }).first().click();
    await page.getByText("Effacée le").waitFor();
    await page.getByText("Remplace", { exact: true }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Ouvrir l’identité" }).count(), 0);
  });
});
