// The ways into the console and out of it, as members and thieves try them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, act, desktop, emailOf, forget, home, keyboardWalk, mailedLink, member, phone, signIn } from "./console.mjs";
import { launch, service, site, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const cookies = ["__Host-cagnotte", "__Host-cagnotte-link"];

test("somebody who follows a link to a page signs in first, by phone and without JavaScript, and comes back to it", async () => {
  await visit(browser, { viewport: phone, javaScriptEnabled: false, cookies, expected: /status of 422/ }, async (page, context) => {
    await act("forget-attempts");
    await page.goto(`${home}/books/journal?kind=donation`);
    assert.equal(new URL(page.url()).pathname, "/console/sign-in");
    await page.getByRole("button", { name: "Recevoir un lien" }).click();
    await page.getByRole("alert").getByText("À remplir.").waitFor();
    await page.getByLabel("Adresse e-mail").fill(emailOf("treasurer"));
    await page.getByRole("button", { name: "Recevoir un lien" }).click();
    await page.getByRole("heading", { name: "Regardez vos e-mails" }).waitFor();
    const link = await mailedLink();
    // A program that reads mail opens links too, and uses nothing up.
    assert.equal((await fetch(link)).status, 200);
    await page.goto(link);
    await page.getByRole("button", { name: "Se connecter" }).click();
    await page.waitForURL(`${home}/books/journal?kind=donation`);
    const session = (await context.cookies()).find((cookie) => cookie.name === "__Host-cagnotte");
    assert.ok(session.secure && session.httpOnly && session.sameSite === "Lax", JSON.stringify(session));

    await page.locator("details.account summary").click();
    await page.getByRole("button", { name: "Se déconnecter" }).click();
    await page.getByText("Vous êtes déconnecté.").waitFor();
    await page.goBack();
    await page.goto(home);
    assert.equal(new URL(page.url()).pathname, "/console/sign-in");
    // The cookie of before, kept by somebody, opens nothing.
    await context.addCookies([session]);
    await page.goto(home);
    assert.equal(new URL(page.url()).pathname, "/console/sign-in");
  });
});

test("an address that nobody has gets the same answer", async () => {
  await visit(browser, { viewport: phone, cookies }, async (page) => {
    await act("forget-attempts");
    await page.goto(`${service}/console/sign-in`);
    await page.getByLabel("Adresse e-mail").fill("personne@example.org");
    await page.getByRole("button", { name: "Recevoir un lien" }).click();
    await page.getByRole("heading", { name: "Regardez vos e-mails" }).waitFor();
  });
});

test("a stolen link opens nothing in another browser, and still works in its own, once", async () => {
  await visit(browser, { viewport: phone, cookies, expected: /status of 422/ }, async (page) => {
    await act("forget-attempts");
    await page.goto(`${service}/console/sign-in`);
    await page.getByLabel("Adresse e-mail").fill(emailOf("editor"));
    await page.getByRole("button", { name: "Recevoir un lien" }).click();
    await page.waitForURL(/sent/);
    const link = await mailedLink();
    await visit(browser, { viewport: phone, cookies, expected: /status of 422/ }, async (thief, context) => {
      await thief.goto(link);
      await thief.getByRole("button", { name: "Se connecter" }).click();
      await thief.getByRole("alert").waitFor();
      assert.ok(!(await context.cookies()).some((cookie) => cookie.name === "__Host-cagnotte"), "the thief has a session");
      await thief.goto(home);
      assert.equal(new URL(thief.url()).pathname, "/console/sign-in");
    });
    await page.goto(link);
    await page.getByRole("button", { name: "Se connecter" }).click();
    await page.waitForURL(home);
    await page.goto(link);
    await page.getByRole("button", { name: "Se connecter" }).click();
    await page.getByRole("alert").waitFor();
  });
});

test("a link leads to no other site afterwards", async () => {
  await visit(browser, { viewport: phone, cookies }, async (page) => {
    await signIn(page, "owner", "//evil.example/console");
    assert.equal(new URL(page.url()).origin, service);
  });
});

test("a removed member is out at once, with every cookie", async () => {
  const email = "alix@example.org";
  await act("join", { email, role: "ROLE_EDITOR" });
  await visit(browser, { viewport: phone, cookies }, async (page) => {
    await signIn(page, email, new URL(home).pathname);
    assert.equal(page.url(), home);
    await page.goto(`${service}/console/sign-in?next=${encodeURIComponent(new URL(home).pathname)}`);
    assert.equal(page.url(), home, "who is signed in is asked to sign in");
    await act("remove", { email });
    await page.goto(home);
    assert.equal(new URL(page.url()).pathname, "/console/sign-in");
  });
});

test("a form of another site changes nothing", async () => {
  await member(browser, "owner", {}, async (page) => {
    const answer = await page.request.post(`${service}/console/sign-out`, { headers: { Origin: site, "Sec-Fetch-Site": "cross-site" } });
    assert.equal(answer.status(), 403);
    await page.goto(home);
    assert.equal(page.url(), home);
  });
});

test("a passkey that the browser does not have is refused in words", async () => {
  await visit(browser, { viewport: phone, cookies, expected: /status of 422/ }, async (page, context) => {
    await act("forget-attempts");
    const client = await context.newCDPSession(page);
    await client.send("WebAuthn.enable");
    await client.send("WebAuthn.addVirtualAuthenticator", {
      options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true },
    });
    await page.goto(`${service}/console/sign-in`);
    await page.getByRole("button", { name: "Utiliser une clé d’identification" }).click();
    await page.locator(".passkey .error").waitFor();
    assert.notEqual(await page.locator(".passkey .error").innerText(), "");
  });
});

test("the guide, what is not found and the menus can be used by everybody", async () => {
  await visit(browser, { viewport: phone, cookies, expected: /status of (404|422)/ }, async (page) => {
    for (const path of ["/guide", "/guide/start", "/console/sign-in/invitation?token=x"]) await accessible(page, service + path);
    await page.goto(`${service}/console/sign-in`);
    await keyboardWalk(page);
  });
  await member(browser, "owner", { expected: /status of 404/ }, async (page) => {
    await accessible(page, `${service}/console/nothing`);
    await page.goto(home);
    await page.locator("details.menu summary").click();
    await keyboardWalk(page);
    await page.setViewportSize(desktop);
    await page.goto(home);
    await keyboardWalk(page);
  });
});

test("an old session has ended", async () => {
  await member(browser, "auditor", {}, async (page) => {
    await page.goto(home);
    assert.equal(page.url(), home);
    await act("advance", { minutes: 15 * 24 * 60 });
    await page.goto(home);
    assert.equal(new URL(page.url()).pathname, "/console/sign-in");
    assert.equal(new URL(page.url()).searchParams.get("next"), new URL(home).pathname);
  });
  forget("auditor");
});
