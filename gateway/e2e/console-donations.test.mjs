// Donations in the console: the list and statistics (task 19), ending a monthly donation (20), entering cash (22) and cheques (23),
// acting on a notice (39).
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { accessible, desktop, home, keyboardWalk, member } from "./console.mjs";
import { donationsURL, launch, pay, raised, raisedBecomes, seen, service, visit } from "./visitor.mjs";

const donations = `${home}/donations`;

let browser, monthly;
before(async () => {
  browser = await launch();
  await give(5000, "RECURRENCE_ONCE");
  monthly = await give(1100, "RECURRENCE_MONTHLY");
});
after(() => browser.close());

/** Has somebody give, and waits until it is in the books. Returns the donation's id. */
async function give(amount, recurrence) {
  const start = await raised();
  const answer = await fetch(donationsURL, {
    method: "POST",
    body: JSON.stringify({ donation: { amount: { currency_code: "EUR", amount_minor: amount } }, recurrence, request_id: randomUUID() }),
  });
  const donation = await answer.json();
  await visit(browser, {}, async (page) => {
    await page.goto(donation.checkout_url);
    await pay(page);
    await page.waitForURL((url) => url.origin === service);
    await raisedBecomes(start + amount);
  });
  return donation.name.split("/").at(-1);
}

/** Cents of an amount as a page writes it in French. */
function cents(text) {
  const [whole, decimals = ""] = text.match(/[\d\s\u00a0\u202f]+(?:,\d+)?/)[0].replace(/[^\d,]/g, "").split(",");
  return Number(whole + decimals.padEnd(2, "0"));
}

test("an editor finds a donation and sees the sums, by phone and without JavaScript", async () => {
  await member(browser, "editor", { javaScriptEnabled: false }, async (page) => {
    await page.goto(home);
    assert.equal(cents(await seen(page.locator(".big").first())), await raised());
    await page.locator("details.menu summary").click();
    await page.locator("details.menu").getByRole("link", { name: "Dons", exact: true }).click();
    await page.getByRole("heading", { name: "Dons", exact: true }).waitFor();
    assert.equal(await page.getByRole("link", { name: "Espèces" }).count(), 0, "an editor enters no money");

    await page.getByText("Rechercher", { exact: true }).first().click();
    await page.getByLabel("Montant, à partir de").fill("50");
    await page.getByLabel("jusqu’à").fill("50,00");
    await page.getByRole("button", { name: "Rechercher" }).click();
    await page.waitForURL(/min=50/);
    for (const amount of await page.locator("td.number a").allInnerTexts()) assert.equal(cents(amount), 5000);
    await page.locator("td.number a").first().click();
    await page.getByRole("heading", { name: "Don de 50 €" }).waitFor();
    const history = page.getByRole("list", { name: "Ce qui s’est passé" });
    assert.match(await seen(history), /Commencé.*Reçu/);
    assert.equal(await history.getByRole("link").count(), 0, "an editor sees the books");
    const id = page.url().split("/").at(-1);
    await page.goto(`${donations}?reference=${id}`);
    assert.equal(await page.locator("td.number a").count(), 1);
    await page.goto(`${donations}?reference=pi_none`);
    await page.getByText("Aucun don ne correspond à cette recherche.").waitFor();
    await page.goto(`${donations}?method=monthly`);
    assert.ok((await page.locator("td.number a").count()) >= 1);

    await page.getByRole("link", { name: "Statistiques" }).click();
    await page.getByRole("img", { name: /Dons reçus, par moyen/ }).waitFor();
    await page.getByRole("img", { name: /Total recueilli/ }).waitFor();
    await page.getByText("Voir les chiffres").first().click();
    const foot = page.locator("tfoot").first();
    const total = cents(await seen(foot.locator("td").last()));
    assert.equal(total, await raised(), "the table does not add up to what was raised");
    for (const by of ["week", "day"]) {
      await page.goto(`${donations}/statistics?by=${by}`);
      assert.equal(cents(await seen(page.locator(".big").first())), total);
    }
    // A period of the table leads to its donations.
    await page.goto(`${donations}/statistics`);
    await page.getByText("Voir les chiffres").first().click();
    await page.locator("tbody th a").first().click();
    await page.waitForURL(/start_date=/);
    assert.ok((await page.locator("td.number a").count()) > 0);
  });
});

test("the treasurer enters cash and a cheque, each once, and takes a wrong entry back", async () => {
  await member(browser, "treasurer", { expected: /status of (422|404)/ }, async (page) => {
    const start = await raised();
    await page.goto(donations);
    await page.getByRole("link", { name: "Espèces" }).click();
    await page.getByLabel("Montant").fill("douze");
    await page.getByRole("button", { name: "Enregistrer le don" }).click();
    await page.getByRole("alert").waitFor();
    assert.ok(await page.locator(".summary").evaluate((e) => e === document.activeElement), "the summary has no focus");
    assert.equal(await page.getByLabel("Montant").inputValue(), "douze");
    await page.getByLabel("Montant").fill("12,50");
    await page.getByRole("button", { name: "Enregistrer le don" }).click();
    await page.getByText("Le don est enregistré.").waitFor();
    await raisedBecomes(start + 1250);
    const cash = page.url().split("?")[0];
    await page.reload();
    assert.equal(await raised(), start + 1250, "a reload enters it twice");

    await page.goto(`${donations}/new?method=cheque`);
    await page.getByLabel("Montant").fill("33");
    await page.getByLabel("Numéro du chèque").fill("7654321");
    await page.getByRole("button", { name: "Enregistrer le don" }).dblclick();
    await page.getByText("Le don est enregistré.").waitFor();
    await raisedBecomes(start + 1250 + 3300);
    await page.goto(`${donations}?reference=7654321`);
    assert.equal(await page.locator("td.number a").count(), 1);
    await page.goto(home);
    await page.getByRole("link", { name: /chèques? à remettre en banque/ }).waitFor();

    await page.goto(cash);
    await page.getByRole("link", { name: "Annuler cette saisie" }).click();
    await page.getByText("Le don ne compte plus pour la collecte.").waitFor();
    await page.getByRole("button", { name: "Annuler la saisie" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Pourquoi ?").fill("saisi deux fois");
    await page.getByRole("button", { name: "Annuler la saisie" }).click();
    await page.getByText("La saisie est annulée.").waitFor();
    await raisedBecomes(start + 3300);
    assert.equal(await page.getByRole("link", { name: "Annuler cette saisie" }).count(), 0);

    // What is typed is shown as text, or refused at its field.
    for (const hostile of ["<b>gras</b>", "=1+1", "abc\u202edef", "a\u200bb", "x".repeat(5000)]) {
      await page.goto(`${donations}/new?method=cheque`);
      await page.getByLabel("Montant").fill("1");
      await page.getByLabel("Numéro du chèque").evaluate((input, value) => {
        input.removeAttribute("maxlength");
        input.value = value;
      }, hostile);
      await page.getByRole("button", { name: "Enregistrer le don" }).click();
      await page.getByText("Le don est enregistré.").or(page.getByRole("alert")).first().waitFor();
      assert.equal(await page.locator("main b").count(), 0);
    }
    assert.equal(await page.goto(`${donations}/new?pledge=01890a5d-ac96-774b-bcce-b302099a8057`).then((r) => r.status()), 404);
  });
});

test("the treasurer enters cash without JavaScript", async () => {
  await member(browser, "treasurer", { javaScriptEnabled: false }, async (page) => {
    const start = await raised();
    await page.goto(`${donations}/new?method=cash`);
    await page.getByLabel("Montant").fill("8");
    await page.getByRole("button", { name: "Enregistrer le don" }).click();
    await page.getByText("Le don est enregistré.").waitFor();
    await raisedBecomes(start + 800);
  });
});

test("the treasurer ends a monthly donation and puts its notice away", async () => {
  await member(browser, "treasurer", {}, async (page) => {
    await page.goto(donations);
    await page.getByRole("link", { name: "Dons mensuels" }).click();
    await page.locator(`a[href$="${monthly}"]`).click();
    await page.getByRole("heading", { name: "Don mensuel de 11 €" }).waitFor();
    assert.ok((await page.locator("td.number a").count()) >= 1, "the first month is missing");
    await page.getByRole("link", { name: "Arrêter ce don mensuel" }).click();
    await page.getByText("Plus rien ne sera prélevé.").waitFor();
    await page.getByRole("link", { name: "Ne rien changer" }).click();
    await page.getByRole("link", { name: "Arrêter ce don mensuel" }).click();
    await page.getByLabel(/Tout de suite/).check();
    await page.getByRole("button", { name: "Arrêter le don mensuel" }).click();
    await page.getByText("Le don mensuel est arrêté.").waitFor();
    for (const deadline = Date.now() + 60_000; !(await page.getByText("Terminé", { exact: true }).count()); await page.reload()) {
      assert.ok(Date.now() < deadline, "it does not end");
    }
    assert.equal(await page.getByRole("link", { name: "Arrêter ce don mensuel" }).count(), 0);

    const notice = page.getByRole("link", { name: /don mensuel/ }).first();
    for (const deadline = Date.now() + 60_000; ; ) {
      await page.goto(`${home}/notices`);
      if (await notice.count()) break;
      assert.ok(Date.now() < deadline, "the notice does not come");
    }
    const open = await page.locator("main .rows li").count();
    await notice.click();
    const address = page.url();
    await page.getByRole("link", { name: "Voir le don mensuel" }).click();
    await page.getByRole("heading", { name: "Don mensuel de 11 €" }).waitFor();
    await page.goto(address);
    await page.getByRole("button", { name: "Marquer comme lu" }).click();
    await page.getByText("L’avis est marqué comme lu.").waitFor();
    assert.equal(await page.locator("main .rows li").count(), open - 1);
    await page.getByRole("link", { name: "Tous", exact: true }).click();
    await page.getByText("· lu").first().waitFor();
  });
});

test("the pages about donations pass axe and the keyboard", async () => {
  await member(browser, "treasurer", {}, async (page) => {
    for (const address of [`${donations}?state=CONTRIBUTION_STATE_RECEIVED`, `${donations}/new?method=cheque`]) await accessible(page, address);
    await page.setViewportSize(desktop);
    await page.goto(donations);
    await keyboardWalk(page);
    await page.goto(`${donations}/statistics`);
    await keyboardWalk(page);
  });
});

test("members without the right find no page", async () => {
  await member(browser, "editor", { expected: /status of 404/ }, async (page) => {
    for (const path of ["/donations/new", "/notices"]) assert.equal((await page.goto(home + path)).status(), 404, path);
    const elsewhere = home.replace(/[^/]+$/, "technopolice-marseille");
    for (const path of ["", "/donations", "/donations/statistics"]) assert.equal((await page.goto(elsewhere + path)).status(), 404, path);
  });
  await member(browser, "auditor", { expected: /status of 404/ }, async (page) => {
    assert.equal((await page.goto(`${donations}/new`)).status(), 404);
    await page.goto(donations);
    await page.locator("td.number a").first().click();
    assert.equal(await page.locator(".head .actions").count(), 0, "an auditor can act");
  });
});
