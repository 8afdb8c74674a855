// What waits for a second person: bank accounts, keys and the rule itself, and who may decide.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, act, collective, desktop, gotoProved, home, member, phone, signIn } from "./console.mjs";
import { lastMail, launch, service, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const approvals = `${home}/settings/approvals`;
const iban = "FR76 3000 6000 0112 3456 7890 189";
const cookies = ["__Host-cagnotte", "__Host-cagnotte-link"];
const late = "tardive@example.org";
const refusal = /status of 422/;
const invitation = /https?:\/\/\S+\/console\/sign-in\/invitation\?token=\S+/;

/** Keeps a picture of the page as it is, by phone and by desktop, for who looks at it. */
async function picture(page, name) {
  if (!process.env.CAGNOTTE_PICTURES) return;
  for (const size of [phone, desktop]) {
    await page.setViewportSize(size);
    await page.screenshot({ path: `${process.env.CAGNOTTE_PICTURES}/approvals-${name}-${size.width}.png`, fullPage: true });
  }
  await page.setViewportSize(phone);
}

/** The owner asks for another holder of the bank account. Returns the address of the change. */
async function ask(page, holder) {
  await gotoProved(page, `${home}/settings/bank`);
  await page.getByLabel("Titulaire").fill(holder);
  await page.getByLabel("IBAN").fill(iban);
  await page.getByRole("button", { name: "Enregistrer" }).click();
  await page.getByText("attend l’accord d’une seconde personne").first().waitFor();
  await picture(page, "asked");
  return open(page, "Compte bancaire");
}

/** Opens the newest change of a kind. Returns its address. */
async function open(page, kind) {
  await page.goto(approvals);
  await page.getByRole("link", { name: kind, exact: true }).first().click();
  return page.url();
}

/** Presses the button of a confirmation, which leads to the list and says what happened. */
async function decide(page, change, what, button, said) {
  await gotoProved(page, `${change}/${what}`);
  await page.getByRole("button", { name: button }).click();
  await page.getByText(said).waitFor();
}

/** Knows the address of the confirmation, and is led back by it; whoever sends its form all the same is refused. */
async function refused(page, change) {
  for (const address of [change, `${change}/approve`]) {
    await page.goto(address);
    assert.equal(page.url(), change);
    assert.equal(await page.getByText("Donner mon accord").count(), 0);
  }
  await gotoProved(page, `${home}/settings/bank`);
  const response = await page.request.post(`${change}/approve`, { form: {} });
  assert.equal(response.status(), 422);
  assert.match(await response.text(), /role="alert"/);
}

/** The holder that the bank page shows. */
async function holder(page) {
  await page.goto(`${home}/settings/bank`);
  return page.getByLabel("Titulaire").inputValue();
}

/** Approves by an API key. Returns the status and the reason of the refusal. */
async function approveByKey(secret, change) {
  const name = `collectives/${collective}/pendingChanges/${change.split("/").at(-1)}`;
  const response = await fetch(`${service}/v1/${name}:approve`, {
    method: "POST", body: "{}", headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
  });
  return [response.status, await response.text()];
}

test("two people change the bank account; the one who asked does not, with a second session or key; nor does who came later", async () => {
  let secret, change;
  await member(browser, "owner", { javaScriptEnabled: false }, async (page) => {
    await page.goto(approvals);
    await picture(page, "empty");
    await gotoProved(page, `${home}/settings/keys/new`);
    await page.getByLabel("Nom de la clé").fill("Seconde clé");
    await page.getByRole("radio", { name: /^Trésorerie/ }).check();
    await page.getByRole("button", { name: "Créer la clé" }).click();
    secret = (await page.locator("#secret").innerText()).trim();
    await picture(page, "key-made");
    change = await open(page, "Clé d’accès");
    await picture(page, "key");
  });
  await member(browser, "treasurer", { javaScriptEnabled: false }, async (page) => {
    await decide(page, change, "approve", "Donner mon accord", "le changement a pris effet");
  });
  await member(browser, "owner", { javaScriptEnabled: false, expected: refusal }, async (page) => {
    change = await ask(page, "Vallon à deux");
    await page.getByText("Vous avez fait cette demande.").waitFor();
    await picture(page, "own");
    await refused(page, change);
    await picture(page, "refused");
    assert.notEqual(await holder(page), "Vallon à deux");
  });
  // The owner's second session, and a key of theirs, made before and at work.
  await visit(browser, { viewport: phone, cookies, javaScriptEnabled: false, expected: refusal }, async (page) => {
    await signIn(page, "owner");
    await refused(page, change);
  });
  const [status, why] = await approveByKey(secret, change);
  assert.equal(status, 400, why);
  assert.match(why, /SECOND_MEMBER_NEEDED/);

  // One person alone does not make a second one: the invitation waits, and is mailed when the treasurer agrees.
  let invited;
  await member(browser, "owner", { javaScriptEnabled: false }, async (page) => {
    await gotoProved(page, `${home}/settings/people/invite`);
    await page.getByLabel("Adresse e-mail").fill(late);
    await page.getByRole("radio", { name: /^Trésorerie/ }).check();
    await page.getByRole("button", { name: "Envoyer l’invitation" }).click();
    await page.getByText("une seconde personne doit donner son accord").waitFor();
    await page.getByText(late).waitFor();
    await picture(page, "people-wait");
    await page.getByRole("link", { name: "Invitation", exact: true }).click();
    invited = page.url();
    await picture(page, "invitation");
  });
  await member(browser, "treasurer", { javaScriptEnabled: false }, async (page) => {
    await page.goto(invited);
    await page.getByText(late).waitFor();
    await decide(page, invited, "approve", "Donner mon accord", "le changement a pris effet");
  });
  const link = (await lastMail(invitation)).match(invitation)[0];
  await visit(browser, { viewport: phone, cookies, javaScriptEnabled: false, expected: refusal }, async (page) => {
    await page.goto(link);
    await page.locator("main form").getByLabel(/[Nn]om/).fill("Tardive");
    await page.locator("main form button").click();
    await page.waitForURL(/\/console\/c\//);
    await page.goto(change);
    await page.getByText("après cette demande").waitFor();
    await picture(page, "late");
    await refused(page, change);
  });
  await act("remove", { email: late });

  await member(browser, "auditor", { javaScriptEnabled: false, expected: /status of 404/ }, async (page) => {
    // Who reads sees the change, and has no page to decide on.
    await page.goto(change);
    await page.getByText("Vallon à deux").waitFor();
    assert.equal((await page.goto(`${change}/approve`)).status(), 404);
  });
  await member(browser, "treasurer", { javaScriptEnabled: false }, async (page) => {
    assert.notEqual(await holder(page), "Vallon à deux");
    await page.goto(`${home}/settings`);
    await page.getByRole("link", { name: /Changements à approuver/ }).click();
    await page.getByText("Vallon à deux").waitFor();
    await picture(page, "waiting");
    await open(page, "Compte bancaire");
    await picture(page, "one");
    await page.getByRole("link", { name: "Donner mon accord" }).click();
    await page.getByText("Le changement prend effet tout de suite.").waitFor();
    await picture(page, "approve");
    await page.getByRole("button", { name: "Donner mon accord" }).click();
    await page.getByText("le changement a pris effet").waitFor();
    await picture(page, "done");
    assert.equal(await holder(page), "Vallon à deux");
    await page.goto(change);
    await page.getByText("accepté", { exact: true }).waitFor();
    await picture(page, "approved");
  });
});

test("a second person rejects, and the one who asked takes back; nothing changes", async () => {
  let change;
  await member(browser, "owner", { javaScriptEnabled: false }, async (page) => {
    change = await ask(page, "Vallon repris");
    await page.getByRole("link", { name: "Retirer la demande" }).click();
    await picture(page, "cancel");
    await page.getByRole("button", { name: "Retirer la demande" }).click();
    await page.getByText("La demande est retirée.").waitFor();
    change = await ask(page, "Vallon refusé");
  });
  await member(browser, "treasurer", { javaScriptEnabled: false, expected: refusal }, async (page) => {
    await page.goto(change);
    await page.getByRole("link", { name: "Refuser" }).click();
    await picture(page, "reject");
    await page.getByRole("button", { name: "Refuser" }).click();
    await page.getByText("Le changement est refusé.").waitFor();
    await page.goto(change);
    await page.getByText("refusé", { exact: true }).waitFor();
    await picture(page, "rejected");
    // What was rejected stays rejected.
    await refused(page, change);
    assert.equal(await holder(page), "Vallon à deux");
  });
});

test("turning the rule off waits for a second person too", async () => {
  await member(browser, "owner", { javaScriptEnabled: false }, async (page) => {
    await page.goto(approvals);
    await page.getByRole("link", { name: "Changer la règle" }).click();
    if (page.url().includes("/confirm")) await gotoProved(page, `${approvals}/rule`);
    await page.getByRole("radio", { name: /^Jamais/ }).check();
    await picture(page, "rule");
    await page.getByRole("button", { name: "Enregistrer" }).click();
    await page.getByText("attend l’accord d’une seconde personne").first().waitFor();
    await picture(page, "rule-waits");
    // The rule is what it was until then: another change waits as well.
    await ask(page, "Vallon pressé");
    await page.goto(`${home}/settings/refunds`);
    await page.getByRole("radio", { name: "Ceux au-dessus d’un montant" }).check();
    await page.locator("#amount").fill("1 250");
    await page.getByRole("button", { name: "Enregistrer" }).click();
    await page.getByText(/au-dessus de 1.250.€/i).waitFor();
    await picture(page, "several");
  });
  await member(browser, "treasurer", { javaScriptEnabled: false, expected: /status of 404/ }, async (page) => {
    assert.equal((await page.goto(`${approvals}/rule`)).status(), 404);
    const bank = await open(page, "Compte bancaire");
    await decide(page, bank, "reject", "Refuser", "Le changement est refusé.");
    const rule = await open(page, "Règle des deux personnes");
    await picture(page, "rule-one");
    await decide(page, rule, "reject", "Refuser", "Le changement est refusé.");
    const refunds = await open(page, "Seuil de remboursement");
    await picture(page, "refunds");
    await decide(page, refunds, "reject", "Refuser", "Le changement est refusé.");
    assert.equal(await holder(page), "Vallon à deux");
  });
});

test("a change that was refused, and a refused form, can be used by everybody", async () => {
  let change;
  await member(browser, "owner", { expected: refusal }, async (page) => {
    change = await ask(page, "Vallon accessible");
    await refused(page, change);
    await accessible(page);
  });
  await member(browser, "treasurer", {}, async (page) => {
    await gotoProved(page, `${change}/approve`);
    for (const address of [`${change}/approve`, `${change}/reject`]) await accessible(page, address);
    await decide(page, change, "reject", "Refuser", "Le changement est refusé.");
    for (const address of [approvals, change]) await accessible(page, address);
  });
});
