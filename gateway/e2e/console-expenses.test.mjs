// Expenses by phone: an invoice is entered with its document (task 29), paid and reversed (30), and stages tell what they planned
// and spent.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { day, download, home, keyboardWalk, member } from "./console.mjs";
import { launch } from "./visitor.mjs";

const expenses = `${home}/expenses`;

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());


/** A photograph: the beginning of a JPEG, and noise. */
const photograph = (seed) => ({
  name: "Facture de Jeanne.jpg",
  mimeType: "image/jpeg",
  buffer: Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.from(`${seed}`.repeat(200_000))]),
});
const pdf = { name: "facture.pdf", mimeType: "application/pdf", buffer: Buffer.from("%PDF-1.7\nfacture\n%%EOF") };

async function fill(page, payee, document, euros) {
  await page.goto(`${expenses}/new`);
  await page.getByLabel("Bénéficiaire").fill(payee);
  await page.getByLabel("Numéro de la pièce").fill(document);
  await page.getByLabel("Date de la pièce").fill(day(8));
  await page.getByLabel("Montant").fill(euros);
}

test("an invoice is entered with a photograph of it, paid and reversed, without JavaScript", async () => {
  await member(browser, "treasurer", { javaScriptEnabled: false, expected: /422/ }, async (page) => {
    await fill(page, "Maître Diallo <b>=1</b>", "F-2026-1", "90,50");
    // The camera of the phone is asked for.
    assert.equal(await page.locator("#photo").getAttribute("capture"), "environment");
    await page.locator("#photo").setInputFiles(photograph("a"));
    await page.getByLabel("Pour", { exact: false }).last().selectOption({ label: "Une avocate contre les caméras · Première instance" });
    await page.getByRole("button", { name: "Enregistrer la dépense" }).click();
    await page.getByRole("status").getByText("avec son document").waitFor();
    await page.getByText("Maître Diallo <b>=1</b>, 90,50").first().waitFor();
    const one = page.url().replace(/\?.*/, "");

    // The file is the photograph, under a name that tells nobody's.
    const file = await download(page, () => page.getByRole("link", { name: /Photo \(JPEG\)/ }).click());
    assert.match(file.name, /^document-[0-9a-f]{12}\.jpg$/);
    assert.deepEqual(file.bytes, photograph("a").buffer);
    const answer = await page.request.get(`${await page.getByRole("link", { name: /Photo \(JPEG\)/ }).getAttribute("href")}`.replace(/^/, new URL(one).origin));
    assert.match(answer.headers()["content-disposition"], /^attachment/);
    assert.match(answer.headers()["content-security-policy"], /sandbox/);
    assert.equal(answer.headers()["x-content-type-options"], "nosniff");

    // Another document is added; what is none is refused at its field.
    await page.locator("#file").setInputFiles({ name: "facture.pdf", mimeType: "application/pdf", buffer: Buffer.from("<svg onload=alert(1)>") });
    await page.getByRole("button", { name: "Joindre" }).click();
    await page.getByRole("alert").getByText("Ce fichier n’est pas accepté").waitFor();
    await page.locator("#file").setInputFiles(pdf);
    await page.getByRole("button", { name: "Joindre" }).click();
    await page.getByRole("status").getByText("Le document est joint.").waitFor();
    assert.equal(await page.getByRole("link", { name: /PDF|JPEG/ }).count(), 2);

    await page.getByRole("link", { name: "Payer" }).click();
    await page.getByText("Aucun virement ne part d’ici", { exact: false }).waitFor();
    await page.getByLabel("Date du paiement").fill(day(40));
    await page.getByRole("button", { name: "Inscrire le paiement" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Date du paiement").fill(day(2));
    await page.getByRole("button", { name: "Inscrire le paiement" }).click();
    await page.getByRole("status").getByText("Le paiement est inscrit.").waitFor();
    await page.getByText("depuis le compte bancaire").waitFor();

    await page.goto(`${expenses}/stages`);
    const stage = page.getByRole("row", { name: /Première instance/ });
    assert.match(await stage.innerText(), /90,50/);

    await page.goto(`${one}/reverse`);
    await page.getByLabel("Pourquoi ?").fill("Saisie deux fois");
    await page.getByRole("button", { name: "Annuler la dépense" }).click();
    await page.getByRole("status").getByText("La dépense est annulée.").waitFor();
    await page.getByText("Saisie deux fois").waitFor();
    // Its documents are kept, and the page of the stages counts it no longer.
    assert.equal(await page.getByRole("link", { name: /PDF|JPEG/ }).count(), 2);
    await page.goto(`${expenses}/stages`);
    assert.doesNotMatch(await page.getByRole("row", { name: /Première instance/ }).innerText(), /90,50/);
  });
});

test("a refused expense keeps what was typed, and a reload enters nothing twice", async () => {
  await member(browser, "treasurer", { expected: /422/ }, async (page) => {
    await fill(page, "Huissière Petit", "H-1", "12");
    await page.getByLabel("Oui, en espèces").check();
    await page.getByRole("button", { name: "Enregistrer la dépense" }).click();
    await page.getByRole("alert").getByText("Date du paiement").waitFor();
    assert.equal(await page.getByLabel("Bénéficiaire").inputValue(), "Huissière Petit");
    assert.ok(await page.getByLabel("Oui, en espèces").isChecked());
    await page.getByLabel("Date du paiement").fill(day(3));
    await page.getByRole("button", { name: "Enregistrer la dépense" }).click();
    await page.getByRole("status").getByText("Son document manque encore").waitFor();
    await page.reload();
    await page.goto(expenses);
    assert.equal(await page.getByRole("row", { name: /Huissière Petit/ }).count(), 1);
    // The same document cannot be entered again.
    await fill(page, "HUISSIERE PETIT", "h1", "12");
    await page.getByLabel("Bénéficiaire").fill("Huissière Petit");
    await page.getByRole("button", { name: "Enregistrer la dépense" }).click();
    await page.getByRole("alert").getByText("Ce numéro de pièce a déjà été saisi.").waitFor();
  });
});

test("the pages of expenses can be used by the keyboard, and by who may", async () => {
  await member(browser, "treasurer", {}, async (page) => {
    await page.goto(`${expenses}/new`);
    await keyboardWalk(page);
  });
  await member(browser, "auditor", { expected: /404/ }, async (page) => {
    await page.goto(expenses);
    assert.equal(await page.getByRole("link", { name: "Saisir une dépense" }).count(), 0);
    assert.equal((await page.goto(`${expenses}/new`)).status(), 404);
  });
  await member(browser, "editor", { expected: /404/ }, async (page) => {
    assert.equal((await page.goto(expenses)).status(), 404);
  });
});
