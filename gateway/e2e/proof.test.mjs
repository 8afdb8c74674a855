// "How do I know?": a donor checks in the browser that the donation is in the signed books.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { accessible } from "./console.mjs";
import { hostPage, launch, pay, seen, service, visit } from "./visitor.mjs";

let browser, kept;
before(async () => {
  browser = await launch();
  await visit(browser, {}, async (page) => {
    await page.goto(hostPage);
    await page.getByRole("radio", { name: "20 €" }).check();
    await page.getByRole("button", { name: "Donner" }).click();
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    kept = { address: page.url() };
  });
});
after(() => browser.close());

const summary = "La preuve que ce don figure dans les comptes";
const phone = { viewport: { width: 390, height: 844 } };

/** Opens the donation's page once the books are sealed, and the proof in it. */
async function openProof(page) {
  await page.goto(kept.address);
  for (const deadline = Date.now() + 60_000; (await page.locator("details.proof").count()) === 0; await page.reload()) {
    assert.ok(Date.now() < deadline, "the donation got no proof");
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await page.getByText(summary).click();
  kept.code = await page.getByLabel("Le code", { exact: true }).inputValue();
  kept.key = await page.getByLabel("La clé des comptes").inputValue();
}

test("a donor checks the proof on the donation's own page, by phone", async () => {
  await visit(browser, phone, async (page) => {
    await openProof(page);
    await page.getByRole("button", { name: "Vérifier maintenant" }).click();
    const verdict = page.locator(".verdict[data-tone=good]");
    await verdict.waitFor();
    const said = await seen(verdict);
    assert.match(said, /Ce code est valable/);
    assert.match(said, /Un don de 20,00 € figure dans les comptes signés : le \d{1,2} \S+ \d{4}, pour la collecte \S+ du collectif vallon-contre-cameras/);
    assert.match(said, /écriture nº [\d ]+ sur [\d ]+/);
    await accessible(page);
  });
});

test("what is not proven is refused in words", async () => {
  await visit(browser, phone, async (page) => {
    await openProof(page);
    await page.goto(`${service}/proof?lang=fr`);
    const check = async (code, key) => {
      await page.getByLabel("Le code de preuve").fill(code);
      await page.getByLabel("La clé des comptes").fill(key);
      await page.getByRole("button", { name: "Vérifier" }).click();
      await page.locator(".verdict p").nth(1).waitFor();
      return seen(page.locator(".verdict"));
    };
    const { code, key } = kept;
    const [name, , bytes] = key.split("+");
    assert.match(await check(code.slice(0, -9), key), /incomplet ou modifié/);
    assert.match(await check(`${code}é`, key), /incomplet ou modifié/);
    assert.match(await check("", key), /incomplet ou modifié/);
    assert.match(await check(code, ""), /La clé est incomplète/);
    assert.match(await check(code, `${name}+00000000+${bytes}`), /La clé est incomplète/);
    assert.match(await check(`\n ${code.slice(0, 40)}\n${code.slice(40)} `, ` ${key}\n`), /valable/);
    await accessible(page);
  });
});

test("no bit of a code can be changed, and no other key passes", async () => {
  await visit(browser, {}, async (page) => {
    await openProof(page);
    const passed = await page.evaluate(async ({ code, key }) => {
      const header = "cagnotte-proof-2.";
      const word = code.slice(header.length).replaceAll("-", "+").replaceAll("_", "/");
      const data = Uint8Array.from(atob(word.padEnd(Math.ceil(word.length / 4) * 4, "=")), (c) => c.charCodeAt(0));
      const codeOf = (bytes) => header + btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
      const found = [];
      if ((await verifyProofCode(codeOf(data), key)) !== "") found.push("the code itself is refused");
      for (let i = 0; i < data.length; i++) {
        for (let bit = 0; bit < 8; bit++) {
          data[i] ^= 1 << bit;
          if ((await verifyProofCode(codeOf(data), key)) === "") found.push(`bit ${bit} of byte ${i}`);
          data[i] ^= 1 << bit;
        }
        if ((await verifyProofCode(codeOf(data.subarray(0, i)), key)) === "") found.push(`cut off at ${i}`);
      }
      // A key of the same name that somebody else made.
      const [name] = key.split("+");
      const pair = await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"]);
      const raw = new Uint8Array([1, ...new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey))]);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array([...new TextEncoder().encode(`${name}\n`), ...raw])));
      const id = [...hash.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      const other = `${name}+${id}+${btoa(String.fromCharCode(...raw))}`;
      if ((await verifyProofCode(codeOf(data), other)) !== "otherKey") found.push("another key");
      return found;
    }, kept);
    assert.deepEqual(passed, []);
  });
});

test("a saved copy checks without the service and without a connection", async () => {
  const folder = await mkdtemp(join(tmpdir(), "proof-"));
  try {
    const saved = join(folder, "preuve.html");
    await visit(browser, {}, async (page) => {
      await openProof(page);
      await page.getByRole("link", { name: "Vérifier sur une page" }).click();
      const downloading = page.waitForEvent("download");
      await page.getByRole("link", { name: "Enregistrer cette page" }).click();
      await (await downloading).saveAs(saved);
    });
    const context = await browser.newContext({ offline: true, locale: "fr-FR" });
    try {
      const page = await context.newPage();
      const asked = [];
      page.on("request", (request) => request.url().startsWith("file:") || asked.push(request.url()));
      await page.goto(pathToFileURL(saved).href);
      await page.getByLabel("Le code de preuve").fill(kept.code);
      await page.getByLabel("La clé des comptes").fill(kept.key);
      await page.getByRole("button", { name: "Vérifier" }).click();
      await page.locator(".verdict[data-tone=good]").waitFor();
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.querySelector("main")).maxInlineSize), "none", "the style is not in the copy");
      assert.deepEqual(asked, []);
    } finally {
      await context.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("without JavaScript the page names the command that does the same", async () => {
  await visit(browser, { javaScriptEnabled: false }, async (page) => {
    await page.goto(`${service}/proof?lang=en`);
    await page.getByText("cagnotte ledger verify-proof").waitFor();
    assert.equal(await page.getByRole("button", { name: "Check" }).count(), 0);
  });
});
