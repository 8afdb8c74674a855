// Keys of tax receipts, in the browser alone. [data-age="make"] makes a key: its secret part is saved as a file on this device,
// and its public part filled into the form. [data-age="open"] opens a sealed identity with such a file. Nothing here is sent:
// the script makes no request, and stores nothing.
import { Decrypter, armor, generateX25519Identity, identityToRecipient } from "age-encryption";

for (const part of document.querySelectorAll('[data-age="make"]')) {
  part.hidden = false;
  part.querySelector("button").addEventListener("click", async () => {
    const identity = await generateX25519Identity();
    const recipient = await identityToRecipient(identity);
    const text = `# created: ${new Date().toISOString()}\n# public key: ${recipient}\n${identity}\n`;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = part.dataset.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    document.getElementById("recipient").value = recipient;
    const said = part.querySelector("[data-age-said]");
    said.textContent = said.dataset.ageSaid;
  });
}

for (const part of document.querySelectorAll('[data-age="open"]')) {
  part.hidden = false;
  const wrong = part.querySelector("[data-age-wrong]");
  part.querySelector("input").addEventListener("change", async (event) => {
    wrong.textContent = "";
    for (const row of part.querySelectorAll("[data-age-field]")) row.hidden = true;
    try {
      const file = event.target.files[0];
      if (!file || file.size > 100_000) throw new Error("no key");
      const keys = (await file.text()).split(/\r?\n/).map((line) => line.trim()).filter((line) => line.startsWith("AGE-SECRET-KEY-1"));
      if (keys.length === 0) throw new Error("no key");
      const decrypter = new Decrypter();
      for (const key of keys) decrypter.addIdentity(key);
      const opened = JSON.parse(await decrypter.decrypt(armor.decode(document.querySelector("[data-age-sealed]").textContent.trim()), "text"));
      for (const row of part.querySelectorAll("[data-age-field]")) {
        const value = opened[row.dataset.ageField];
        row.hidden = !value;
        row.querySelector("dd").textContent = value ?? "";
      }
    } catch {
      wrong.textContent = wrong.dataset.ageWrong;
    }
  });
}
