// A treasurer at the bank, by phone: cheques are banked (task 24) and bounce (25), a statement is imported (26), its lines are
// matched, split, left out and undone (27), and the bank is compared with the books (28).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, act, day, download, home, keyboardWalk, member } from "./console.mjs";
import { launch } from "./visitor.mjs";

const bank = `${home}/bank`;
const iban = "FR7630006000011234567890189";

let browser;
before(async () => {
  browser = await launch();
  await act("bank-account");
});
after(() => browser.close());

/** A day as French pages write it. */
const french = (iso) => iso.split("-").reverse().join("/");

/** Cents of an amount as a page writes it: "+1 234,50 €", "−3 €". */
const cents = (text) => {
  const [, sign, whole, rest = ""] = text.replace(/[\s\u00a0\u202f]/g, "").match(/([-−+]?)(\d+)(?:,(\d+))?€/);
  return (sign === "-" || sign === "−" ? -1 : 1) * (Number(whole) * 100 + Number(rest.padEnd(2, "0")));
};

/** A CAMT.053 statement: lines as [days ago, cents, text, payee], which lead from the opening balance to the closing one. */
function camt(id, opening, lines) {
  const money = (minor) => (Math.abs(minor) / 100).toFixed(2);
  const sign = (minor) => (minor < 0 ? "DBIT" : "CRDT");
  const balance = (code, minor) =>
    `<Bal><Tp><CdOrPrtry><Cd>${code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">${money(minor)}</Amt><CdtDbtInd>${sign(minor)}</CdtDbtInd><Dt><Dt>${day(1)}</Dt></Dt></Bal>`;
  const entries = lines.map(
    ([ago, minor, text, payee = ""], i) =>
      `<Ntry><Amt Ccy="EUR">${money(minor)}</Amt><CdtDbtInd>${sign(minor)}</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>${day(ago)}</Dt></BookgDt><AcctSvcrRef>${id}000${i}</AcctSvcrRef>
<NtryDtls><TxDtls>${payee && `<RltdPties><Cdtr><Nm>${payee}</Nm></Cdtr></RltdPties>`}<RmtInf><Ustrd>${text}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>`,
  );
  const closing = lines.reduce((sum, [, minor]) => sum + minor, opening);
  return `<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><GrpHdr><MsgId>${id}</MsgId></GrpHdr><Stmt><Id>${id}</Id>
<Acct><Id><IBAN>${iban}</IBAN></Id><Ccy>EUR</Ccy></Acct>${balance("OPBD", opening)}${balance("CLBD", closing)}${entries.join("")}</Stmt></BkToCstmrStmt></Document>`;
}

const file = (name, text, mimeType = "text/xml") => ({ name, mimeType, buffer: Buffer.from(text) });

/** Checks the page by its address in both languages, and comes back to it as it was. */
async function everywhere(page) {
  const here = page.url();
  await accessible(page, here);
  await page.goto(here);
}

/** Chooses a file and has it read. */
async function read(page, chosen) {
  await page.goto(`${bank}/import`);
  await page.getByLabel("Le fichier de votre banque").setInputFiles(chosen);
  await page.getByRole("button", { name: "Lire le fichier" }).click();
}

/** The open line of an amount, as the list shows it. */
const lineOf = (page, amount) => page.locator("tbody tr").filter({ has: page.locator(".number", { hasText: amount }) });

/** Opens the open line of an amount. */
async function openLine(page, amount) {
  await page.goto(bank);
  await lineOf(page, amount).getByRole("link").first().click();
  await page.getByRole("heading", { level: 1 }).filter({ hasText: amount.replace(/^[+−]/, "") }).waitFor();
}

/** Enters an expense that is to be paid; its document comes later. */
async function owe(page, payee, document, euros) {
  await page.goto(`${home}/expenses/new`);
  await page.getByLabel("Bénéficiaire").fill(payee);
  await page.getByLabel("Numéro de la pièce").fill(document);
  await page.getByLabel("Date de la pièce").fill(day(10));
  await page.getByLabel("Montant").fill(euros);
  await page.getByRole("button", { name: "Enregistrer la dépense" }).click();
  await page.getByText("Son document manque encore").waitFor();
}

/** Enters a cheque by the section of donations. */
async function cheque(page, euros, number) {
  await page.goto(`${home}/donations/new?method=cheque`);
  await page.locator("#amount").fill(euros);
  await page.locator("#receive_date").fill(day(6));
  await page.locator("#document").fill(number);
  await page.locator("main form button").first().click();
  await page.getByRole("status").waitFor();
}

test("a file that is refused says what the bank's export should be", async () => {
  await member(browser, "treasurer", { javaScriptEnabled: false, expected: /422/ }, async (page) => {
    for (const [chosen, said] of [
      [file("releve.pdf", "%PDF-1.7 un relevé", "application/pdf"), "C’est un PDF"],
      [file("releve.xls", Buffer.from("d0cf11e0a1b11ae1", "hex"), "application/vnd.ms-excel"), "Ce classeur ne peut pas être lu"],
      [file("releve.zip", "PK\x03\x04", "application/zip"), "coupé ou abîmé"],
      [file("lettre.csv", "Bonjour,\nvoici.\n", "text/csv"), "Les colonnes n’ont pas été reconnues"],
      [file("a.csv", `Date;Libellé;Montant\n${french(day(3))};a;5,00\nhier;b;6,00\n`, "text/csv"), "Ligne 3"],
      [file("a.xml", camt("W", 0, [[2, 500, "x"]]).replace("5.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt>", "6.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt>")), "il en manque une partie"],
      [file("a.xml", camt("W", 0, [[2, 500, "x"]]).replace(iban, "FR7610011000201234567890188")), "un autre compte"],
    ]) {
      await read(page, chosen);
      await page.getByRole("alert").getByText(said).waitFor();
      await page.getByText("Le mieux", { exact: false }).waitFor();
    }
    await read(page, []);
    await page.getByText("Choisissez un fichier.").first().waitFor();
  });
});

test("the treasurer imports a statement after a look at it, and matches its lines", async () => {
  await member(browser, "treasurer", { expected: /422/ }, async (page, context) => {
    await owe(page, "Cabinet Martin", "2026-071", "120");
    await owe(page, "Étude Roux", "F9", "30");
    await owe(page, "Imprimerie du Vallon", "881", "45");
    await read(
      page,
      file("releve.xml", camt("A", 100000, [
        [4, -15000, "VIR HONORAIRES", "Cabinet Martin"],
        [3, -4500, "FACTURE 881", "IMPRIMERIE DU VALLON"],
        [3, 6000, "DON DE JEANNE DUPONT"],
        [2, 777, "?"],
        [2, -210, "FRAIS DE TENUE"],
      ])),
    );
    await page.getByRole("heading", { name: "Voici comment le fichier est lu" }).waitFor();
    await page.getByText("5 nouvelles lignes.").first().waitFor();
    await page.getByText("IMPRIMERIE DU VALLON").first().waitFor();
    await page.getByText("CAMT.053").first().waitFor();
    await accessible(page);
    // Looking stores nothing.
    const other = await context.newPage();
    await other.goto(`${bank}/statements`);
    const before = await other.locator("tbody tr").count();
    await other.close();
    await page.getByRole("button", { name: "Importer" }).click();
    await page.getByRole("status").getByText("Le relevé est importé.").waitFor();
    await page.reload();
    await page.goto(`${bank}/statements`);
    assert.equal(await page.locator("tbody tr").count(), before + 1);

    // The payee and the number are in the text: the best suggestion says so, and one tap matches it.
    await openLine(page, "−45 €");
    const best = page.locator(".cards .card").first();
    assert.equal(await best.locator(".strong").innerText(), "La pièce 881 de Imprimerie du Vallon");
    assert.match(await best.innerText(), /son numéro est dans le libellé, le bénéficiaire est dans le libellé, même montant/);
    await everywhere(page);
    await best.getByRole("button", { name: "C’est cela" }).click();
    await page.getByRole("status").getByText("La ligne est rattachée.").waitFor();

    // One transfer paid two invoices.
    await openLine(page, "−150 €");
    await page.getByRole("link", { name: "Partager cette ligne" }).click();
    // What adds up is filled in.
    assert.equal(await page.locator("#amount0").inputValue(), "120");
    assert.match(await page.locator("#target0 option:checked").innerText(), /2026-071 de Cabinet Martin/);
    assert.equal(await page.locator("#amount1").inputValue(), "30");
    assert.match(await page.locator("#target1 option:checked").innerText(), /F9 de Étude Roux/);
    await page.locator("#amount1").fill("20");
    await page.getByRole("button", { name: "Partager", exact: true }).click();
    await page.getByText("Les parties doivent faire 150").first().waitFor();
    assert.equal(await page.locator("#amount0").inputValue(), "120", "what was typed is gone");
    await page.locator("#amount1").fill("30");
    await page.getByRole("button", { name: "Partager", exact: true }).click();
    await page.getByRole("status").getByText("La ligne est partagée.").waitFor();
    assert.equal(await page.locator("tbody tr").count(), 2);
    const split = page.url().replace(/\?.*/, "");
    await page.goto(`${home}/expenses`);
    for (const payee of ["Cabinet Martin", "Étude Roux", "Imprimerie du Vallon"]) {
      await page.getByRole("row", { name: new RegExp(payee) }).getByText("payée").waitFor();
    }

    // Undone in one go, and split again.
    await page.goto(split);
    await page.getByRole("link", { name: "Annuler le rattachement…" }).click();
    await page.getByLabel("Pourquoi ?").fill("Mauvaise répartition");
    await page.getByRole("button", { name: "Annuler le rattachement" }).click();
    await page.getByRole("status").getByText("de nouveau à rattacher").waitFor();
    await page.goto(`${home}/expenses`);
    await page.getByRole("row", { name: /Étude Roux/ }).getByText("à payer").waitFor();
    await page.goto(`${split}/split`);
    await page.getByRole("button", { name: "Partager", exact: true }).click();
    await page.getByRole("status").getByText("La ligne est partagée.").waitFor();

    // A donation without a pledge, and money of unknown origin, which waits.
    await openLine(page, "+60 €");
    await page.getByLabel("Pour la collecte").selectOption({ label: "Une avocate contre les caméras" });
    await page.getByRole("button", { name: "Enregistrer ce don" }).click();
    await page.getByRole("status").getByText("La ligne est rattachée.").waitFor();
    await openLine(page, "+7,77 €");
    await page.getByRole("button", { name: "L’enregistrer ainsi" }).click();
    await page.getByRole("status").getByText("La ligne est rattachée.").waitFor();
    await page.goto(`${bank}/clearing`);
    await page.getByRole("row", { name: /Recette à identifier/ }).getByText("2 jours").waitFor();

    // The bank's fee is an expense that nobody entered: the form has what the line tells.
    await openLine(page, "−2,10 €");
    await page.getByRole("link", { name: "Saisir d’abord la dépense" }).click();
    assert.equal(await page.getByLabel("Montant").inputValue(), "2,10");
    assert.match(await page.locator("#document").inputValue(), /^Relevé de la banque, /);
    // What is not the collective's is left out, with a reason.
    await openLine(page, "−2,10 €");
    await page.getByRole("link", { name: "Laisser de côté…" }).click();
    await page.getByLabel("Pourquoi ?").fill("Frais payés par une autre association");
    await page.getByRole("button", { name: "Laisser de côté" }).click();
    await page.getByRole("status").getByText("laissée de côté").waitFor();
    await page.goto(`${bank}?state=ignored`);
    await page.getByText("Frais payés par une autre association").waitFor();
    await page.goto(`${bank}?state=split`);
    assert.equal(await page.locator("tbody tr").count(), 1);
  });
});

test("the same file again brings nothing, and a CSV file of the same days is refused", async () => {
  await member(browser, "treasurer", { javaScriptEnabled: false, expected: /422/ }, async (page) => {
    const again = file("encore.xml", camt("B", 50000, [[5, 1500, "a"]]));
    await read(page, again);
    await page.getByRole("button", { name: "Importer" }).click();
    await page.getByRole("status").getByText("Le relevé est importé.").waitFor();
    await read(page, again);
    await page.getByText("Toutes ces lignes sont déjà importées.").waitFor();
    await read(page, file("a.csv", `Date;Libellé;Montant\n${french(day(5))};a;15,00\n`, "text/csv"));
    await page.getByRole("alert").getByText("seraient comptées deux fois").waitFor();
    // Hostile text is text.
    await read(page, file("b.csv", `Date;Libellé;Montant\n${french(day(9))};<b>=1+1\u202e</b>;1,00\n`, "text/csv"));
    await page.getByText("<b>=1+1").waitFor();
  });
});

test("a CSV file is imported with its balances, and a wrong one is told with the file kept", async () => {
  await member(browser, "treasurer", { expected: /422/ }, async (page) => {
    const csv = file("soldes.csv", `Date;Libellé;Montant\n${french(day(8))};z;12,00\n${french(day(7))};y;-2,00\n`, "text/csv");
    await page.goto(`${bank}/import`);
    await page.getByLabel("Le fichier de votre banque").setInputFiles(csv);
    await page.getByLabel("Solde avant la première ligne").fill("-5,00");
    await page.getByLabel("Solde après la dernière ligne").fill("cinq");
    await page.getByRole("button", { name: "Lire le fichier" }).click();
    assert.match(await page.locator("#closing_balance").getAttribute("aria-invalid"), /true/);
    await page.getByLabel("Solde après la dernière ligne").fill("6");
    await page.getByRole("button", { name: "Lire le fichier" }).click();
    await page.getByText("mènent à 5 €, et non à 6 €").first().waitFor();
    await accessible(page);
    assert.equal(await page.getByLabel("Solde avant la première ligne").inputValue(), "-5,00");
    await page.getByLabel("Solde après la dernière ligne").fill("5");
    await page.getByRole("button", { name: "Lire le fichier" }).click();
    await page.getByRole("heading", { name: "Voici comment le fichier est lu" }).waitFor();
    assert.match(await page.locator("dl.facts").first().innerText(), /Solde de départ\s+−5\s€\s+Solde final\s+5\s€/);
    await page.getByRole("button", { name: "Importer" }).click();
    await page.getByRole("status").getByText("Le relevé est importé.").waitFor();
    assert.match(await page.locator("main").innerText(), /Solde final\s+5\s€/);
  });
});

test("cheques are banked on one slip, and one bounces", async () => {
  await member(browser, "treasurer", { expected: /422/ }, async (page) => {
    await cheque(page, "25", "CHQ-0001");
    await cheque(page, "36", "CHQ-0002");
    await cheque(page, "40", "CHQ-0003");
    await page.goto(`${bank}/cheques`);
    await everywhere(page);
    await page.getByText(/Total\s: 101/).waitFor();
    await page.getByLabel(/CHQ-0003/).uncheck();
    await page.getByLabel("Numéro du bordereau").fill("B-77");
    await page.getByLabel("Date de la remise").fill(day(2));
    await page.getByRole("button", { name: "Enregistrer la remise" }).click();
    await page.getByRole("status").getByText("La remise est enregistrée.").waitFor();
    const slip = page.url().replace(/\?.*/, "");
    assert.match(await page.locator("tfoot .number").innerText(), /61/);
    await page.getByRole("row", { name: /CHQ-0002/ }).getByRole("link", { name: "Revenu impayé" }).click();
    await page.getByText("C’est définitif", { exact: false }).waitFor();
    await page.getByLabel("Date du rejet").fill(day(30));
    await page.getByRole("button", { name: "Enregistrer le rejet" }).click();
    await page.getByText("Pas avant le", { exact: false }).first().waitFor();
    await page.getByLabel("Date du rejet").fill(day(0));
    await page.getByRole("button", { name: "Enregistrer le rejet" }).click();
    await page.getByRole("status").getByText("Le rejet est enregistré.").waitFor();
    await page.getByRole("row", { name: /CHQ-0002/ }).getByText("revenu impayé").waitFor();

    // The bank credits the slip and takes the cheque back: both lines are recognised or suggested.
    await read(page, file("remise.xml", camt("C", 20000, [[1, 6100, "REM CHQ"]])));
    await page.getByRole("button", { name: "Importer" }).click();
    await page.getByRole("status").getByText("Le relevé est importé.").waitFor();
    await page.goto(`${bank}?state=matched`);
    await lineOf(page, "+61 €").first().waitFor();
    await page.goto(`${bank}/cheques`);
    assert.equal(await page.getByLabel(/CHQ-/).count(), 1);
  });
});

test("the position tells what the difference is made of", async () => {
  await member(browser, "auditor", { expected: /404/ }, async (page) => {
    await page.goto(`${bank}/position`);
    const amounts = await page.locator("dd.figure").allInnerTexts();
    const [books, atBank, difference, open, ignored] = amounts.map(cents);
    assert.equal(books - atBank, difference, amounts.join(" | "));
    assert.ok(open > 0 && ignored === -210, amounts.join(" | "));
    // An auditor changes nothing.
    for (const path of ["", "/statements", "/cheques", "/deposits", "/clearing", "/position"]) {
      await page.goto(`${bank}${path}`);
      assert.equal(await page.getByRole("button", { name: /Importer|Enregistrer|C’est cela/ }).count(), 0, path);
    }
    assert.equal((await page.goto(`${bank}/import`)).status(), 404);
  });
  await member(browser, "treasurer", {}, async (page) => {
    await page.goto(bank);
    await keyboardWalk(page);
  });
  await member(browser, "editor", { expected: /404/ }, async (page) => {
    assert.equal((await page.goto(bank)).status(), 404);
  });
});

test("at the end of the month the books are exported, and add up to the bank", async () => {
  await member(browser, "treasurer", {}, async (page) => {
    await page.goto(`${bank}/position`);
    const amounts = await page.locator("dd.figure").allInnerTexts();
    const books = cents(amounts[0]);
    await page.goto(`${home}/books/exports`);
    await page.locator("#format-CSV").check();
    const csv = await download(page, () => page.getByRole("button", { name: "Télécharger" }).click());
    const [head, ...rows] = csv.text.replace(/^\ufeff/, "").trim().split(/\r?\n/);
    const split = (line) => [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(,|$)/g)].map((m) => m[1].replace(/^"|"$/g, "")).slice(0, -1);
    const names = split(head);
    const entries = rows.map((row) => Object.fromEntries(split(row).map((cell, i) => [names[i], cell])));
    const minor = (text) => Math.round(Number(text || "0") * 100);
    let debit = 0;
    let credit = 0;
    let atBank = 0;
    for (const e of entries) {
      debit += minor(e.debit);
      credit += minor(e.credit);
      if (/^512/.test(e.account) && /anque/.test(e.account_name ?? e.account_display_name ?? JSON.stringify(e))) atBank += minor(e.debit) - minor(e.credit);
    }
    assert.equal(debit, credit, "the export does not balance");
    assert.ok(entries.length > 5 && books === atBank, `the books say ${books}, the export ${atBank}: ${head}`);
    assert.doesNotMatch(csv.text, /JEANNE|DUPONT/i);
  });
});
