// A treasurer's month-end in the books: payouts (task 34), accounts, statements and journal (35), exports (36), closing (37).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { act, desktop, donate, download, forget, gotoProved, home, keyboardWalk, member, phone, prove } from "./console.mjs";
import { launch, raised, raisedBecomes, seen } from "./visitor.mjs";

const books = `${home}/books`;

let browser;
before(async () => {
  browser = await launch();
  // Somebody gives twice before the month ends.
  await donate(browser, 20);
  await donate(browser, 50);
});
after(() => browser.close());

/** Cents of an amount as a page writes it in French: "1 234,50 €", "−3 €". */
function cents(text) {
  const [whole, decimals = ""] = text.replace("−", "-").replace(/[^\d,-]/g, "").split(",");
  const minor = Number(whole.replace("-", "") + decimals.padEnd(2, "0"));
  return whole.startsWith("-") ? -minor : minor;
}

/** The lines of a CSV file whose cells hold no line breaks, as objects by the header's names. */
function lines(csv) {
  const cells = (line) => [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map((m) => m[1].replace(/^"|"$/g, "").replaceAll('""', '"'));
  const [header, ...rest] = csv.replace(/^\ufeff/, "").trim().split(/\r?\n/);
  const names = cells(header);
  return rest.map((line) => Object.fromEntries(cells(line).map((cell, i) => [names[i], cell])));
}

test("the treasurer reads balances, an account's statement and a transaction, without JavaScript", async () => {
  await member(browser, "treasurer", { javaScriptEnabled: false }, async (page) => {
    await page.goto(home);
    await page.locator("details.menu summary").click();
    await page.locator("details.menu").getByRole("link", { name: "Comptes" }).click();
    await page.getByRole("heading", { name: "Comptes", exact: true }).waitFor();
    const donations = page.getByRole("row", { name: /Dons manuels/ });
    const balance = cents(await seen(donations.locator(".number")));
    assert.ok(balance >= 7000, `the donations are ${balance}`);
    await donations.getByRole("link").click();
    const last = page.getByRole("row").last();
    // A statement has what is sealed, and entries are sealed every few seconds.
    for (const end = Date.now() + 60_000; Date.now() < end && cents(await seen(last.locator(".number").last())) !== balance; ) {
      await page.waitForTimeout(500);
      await page.reload();
    }
    assert.equal(cents(await seen(last.locator(".number").last())), balance, "the statement does not end with the balance");
    await last.getByRole("link").first().click();
    const sides = { debit: 0, credit: 0 };
    for (const row of await page.locator("tbody tr").all()) {
      const [debit, credit] = await row.locator(".number").allInnerTexts();
      if (/\d/.test(debit)) sides.debit += cents(debit);
      if (/\d/.test(credit)) sides.credit += cents(credit);
    }
    assert.ok(sides.debit > 0 && sides.debit === sides.credit, JSON.stringify(sides));
    await page.getByText("Scellée sous le numéro").waitFor();

    await page.goto(`${books}/journal`);
    await page.getByText("Rechercher", { exact: true }).first().click();
    await page.getByLabel("Nature").selectOption({ label: "Don" });
    await page.getByRole("button", { name: "Rechercher" }).click();
    await page.waitForURL(/kind=donation/);
    for (const kind of await page.locator(".journal .head a").allInnerTexts()) assert.equal(kind, "Don");
    await page.goto(`${books}/journal?reference=%3Cscript%3E`);
    await page.getByText("Aucune opération pour ce choix.").waitFor();
  });
});

test("the treasurer adds an account, once however often it is sent, and its texts are texts", async () => {
  const name = `<b>Frais</b> =1+1 \u202egauche\u202c`;
  await member(browser, "treasurer", { expected: /status of 422/ }, async (page) => {
    for (let again = 0; again < 2; again++) {
      await page.goto(books);
      await page.getByRole("link", { name: "Ajouter un compte" }).click();
      await page.getByLabel("Numéro").fill("6227");
      await page.getByLabel("Nom du compte").fill(again ? name : "x".repeat(255));
      await page.locator("#type-ACCOUNT_TYPE_EXPENSE").check();
      if (!again) await page.getByLabel("Numéro").fill("frais divers");
      await page.getByRole("button", { name: "Ajouter le compte" }).click();
      if (!again) {
        await page.getByRole("alert").waitFor();
        assert.equal(await page.getByLabel("Numéro").inputValue(), "frais divers");
        continue;
      }
      await page.getByText("Le compte est ajouté.").or(page.getByRole("alert")).first().waitFor();
      assert.equal(await page.locator("main b").count(), 0);
    }
  });
});

test("the treasurer downloads the books, and they add up", async () => {
  await member(browser, "treasurer", {}, async (page) => {
    await page.goto(books);
    const balance = cents(await seen(page.getByRole("row", { name: /Dons manuels/ }).locator(".number")));
    await page.getByRole("link", { name: "Exports" }).click();
    await page.getByLabel("CSV", { exact: true }).or(page.locator("#format-CSV")).first().check();
    const csv = await download(page, () => page.getByRole("button", { name: "Télécharger" }).click());
    assert.match(csv.name, /vallon-contre-cameras.*\.csv$/);
    const entries = lines(csv.text);
    const minor = (decimal) => Number((decimal || "0.00").replace(".", ""));
    const amount = (entry) => minor(entry.debit) - minor(entry.credit);
    assert.equal(entries.reduce((sum, entry) => sum + amount(entry), 0), 0, "debit and credit differ");
    const given = entries.filter((entry) => entry.account_name === "Dons manuels").reduce((sum, entry) => sum - amount(entry), 0);
    assert.equal(given, balance, `the file's header is ${Object.keys(entries[0])}`);

    // Half a file goes on where it broke off.
    const address = `${books}/export?format=CSV`;
    const whole = await page.request.get(address);
    const rest = await page.request.get(address, { headers: { Range: "bytes=10-", "If-Range": whole.headers().etag } });
    assert.equal(rest.status(), 206);
    assert.equal((await whole.text()).slice(10), await rest.text());

    for (const format of ["XLSX", "PAYOUTS", "HLEDGER", "BEANCOUNT", "JSONL", "PROOF"]) {
      const answer = await page.request.get(`${books}/export?format=${format}`);
      assert.ok(answer.ok() && (await answer.body()).length > 0, `${format}: ${answer.status()}`);
      assert.match(answer.headers()["content-disposition"], /attachment/);
    }
    await page.goto(`${books}/exports`);
    await page.locator("#format-FEC").check();
    await page.getByRole("link", { name: /^20\d\d$/ }).first().click();
    await page.waitForURL(/start_date=20\d\d-01-01/);
    assert.match(await page.getByLabel("Jusqu’au (inclus)").inputValue(), /^20\d\d-12-31$/);
  });
  await member(browser, "treasurer", { expected: /status of 422/ }, async (page) => {
    await page.goto(`${books}/exports`);
    await page.locator("#format-FEC").check();
    await page.getByRole("button", { name: "Télécharger" }).click();
    await page.getByRole("alert").waitFor();
    assert.ok(await page.locator("#format-FEC").isChecked(), "what was chosen is lost");
  });
});

test("the treasurer ties a payout to the bank line, by phone", async () => {
  await act("advance", { minutes: 8 * 24 * 60 }); // what was given becomes available
  const id = await act("payout", { amount: 3000 });
  await member(browser, "treasurer", {}, async (page) => {
    const link = page.locator(`a[href$="/payouts/${id}"]`);
    for (const deadline = Date.now() + 60_000; ; ) {
      await page.goto(`${books}/payouts`);
      if (await link.count()) break;
      assert.ok(Date.now() < deadline, "the payout does not come");
    }
    await link.click();
    await page.getByRole("heading", { name: /^Virement du/ }).waitFor();
    assert.match(await seen(page.locator(".facts")), /30 €/);
    await page.locator("dd").getByRole("link", { name: "Voir l’écriture" }).first().click();
    await page.waitForURL(/books\/journal\/\d+$/);
    assert.match(await seen(page.locator("main")), /Virement de Stripe/);
  });
});

test("the treasurer gives an unknown receipt to the campaign, and takes that back", async () => {
  await act("unknown-receipt");
  await member(browser, "treasurer", { expected: /status of 422/ }, async (page) => {
    for (const deadline = Date.now() + 60_000; ; ) {
      await page.goto(`${books}/journal?account=4718`);
      if (await page.locator(".journal .head a").count()) break;
      assert.ok(Date.now() < deadline, "the receipt does not come");
    }
    await page.locator(".journal .head a").first().click();
    await page.getByRole("link", { name: "Reclasser" }).click();
    await page.getByRole("button", { name: "Inscrire le reclassement" }).click();
    await page.getByRole("alert").waitFor();
    assert.ok(await page.locator(".summary").evaluate((e) => e === document.activeElement), "the summary has no focus");
    await page.getByRole("radio").first().check();
    await page.getByLabel("Montant à déplacer").fill("1,234");
    await page.getByLabel("Vers quel compte ?").selectOption({ label: "75411 Dons manuels" });
    await page.getByLabel("Vers quelle collecte ?").selectOption({ index: 1 });
    await page.getByRole("button", { name: "Inscrire le reclassement" }).click();
    await page.getByText("Ce montant peut se lire de deux façons.").first().waitFor();
    assert.equal(await page.getByLabel("Montant à déplacer").inputValue(), "1,234");
    await page.getByLabel("Montant à déplacer").fill("9000");
    await page.getByRole("button", { name: "Inscrire le reclassement" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Montant à déplacer").fill("2,50");
    const start = await raised();
    await page.getByRole("button", { name: "Inscrire le reclassement" }).click();
    await page.getByText("Le reclassement est inscrit.").waitFor();
    await raisedBecomes(start + 250);
    await page.getByRole("link", { name: "Annuler ce reclassement" }).click();
    await page.getByText("Aucun argent ne bouge.").waitFor();
    await page.getByRole("button", { name: "Annuler le reclassement" }).click();
    await page.getByText("Le reclassement est annulé.").waitFor();
    await raisedBecomes(start);
  });
});

test("closing asks who is there, says what it does, and is done once", async () => {
  await member(browser, "treasurer", { expected: /status of 422/ }, async (page, context) => {
    await act("advance", { minutes: 11 });
    await page.goto(`${books}/closing`);
    assert.match(page.url(), /\/console\/confirm/);
    await gotoProved(page, `${books}/closing`);
    await page.getByText("Une période close ne peut plus être rouverte.").waitFor();
    await page.getByRole("button", { name: "Clore la période" }).click();
    await page.getByRole("alert").getByText("À remplir.").waitFor();
    // The books go by the database's clock, which no spec moves.
    const day = new Date(Date.now() - 40 * 86_400_000).toISOString().slice(0, 10);
    await page.getByLabel("Clore jusqu’au (inclus)").fill(day);
    await page.getByLabel("J’ai compris que c’est définitif").check();
    // The proof gets old while the form is filled in: what was typed stays, and another tab gives a new proof.
    await act("advance", { minutes: 11 });
    await page.getByRole("button", { name: "Clore la période" }).click();
    const [tab] = await Promise.all([context.waitForEvent("page"), page.getByRole("link", { name: "Confirmer dans un nouvel onglet" }).click()]);
    await prove(tab);
    await tab.getByRole("heading", { name: "C’est confirmé" }).waitFor();
    await tab.close();
    assert.equal(await page.getByLabel("Clore jusqu’au (inclus)").inputValue(), day);
    assert.ok(await page.getByLabel("J’ai compris que c’est définitif").isChecked());
    await page.getByRole("button", { name: "Clore la période" }).click();
    await page.getByText("La période est close.").waitFor();
    await page.reload();
    assert.match(page.url(), /\/books\?/);
  });
});

test("the seal is said in words, and its file is the program's own proof", async () => {
  await member(browser, "auditor", {}, async (page) => {
    await page.goto(`${books}/proof`);
    await page.getByText(/opérations sont scellées/).waitFor();
    const note = await page.locator("#note").innerText();
    const proof = await download(page, () => page.getByRole("link", { name: "Télécharger la preuve complète" }).click());
    assert.ok(proof.text.includes(note.split("\n")[0]), "the file is of another book");
    assert.equal(await page.getByRole("link", { name: "Clôture" }).count(), 0);
  });
});

test("who may not see the books finds none", async () => {
  await member(browser, "editor", { expected: /status of 404/ }, async (page) => {
    await page.goto(home);
    assert.equal(await page.locator("nav.side a", { hasText: "Comptes" }).count(), 0);
    for (const path of ["", "/journal", "/payouts", "/exports", "/export?format=CSV", "/closing", "/proof", "/new-account"]) {
      assert.equal((await page.goto(books + path)).status(), 404, path);
    }
  });
  await member(browser, "auditor", { expected: /status of 404/ }, async (page) => {
    assert.equal((await page.goto(`${books}/closing`)).status(), 404);
  });
});

test("the books can be used by the keyboard", async () => {
  await member(browser, "treasurer", { viewport: desktop }, async (page) => {
    await page.goto(books);
    await keyboardWalk(page);
  });
  forget("treasurer");
});
