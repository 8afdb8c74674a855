// Checks a proof code with the browser's own cryptography. Nothing is sent: this works from a saved copy, without a connection.
// What it checks, and in which encoding, stands in services/ledger/proof; this is the same as `cagnotte ledger verify-proof`.
//
//   <section data-proof data-good="…">  the sentences, and in it data-part="code", "key", "check" and "verdict"
"use strict";
(() => {
  const textOf = new TextEncoder();
  const header = "cagnotte-proof-2.";
  const hashSize = 32;

  /** A refusal is the name of a sentence. */
  class Refusal extends Error {}
  const refuse = (name) => {
    throw new Refusal(name);
  };

  const join = (...parts) => {
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  };
  const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", join(...parts)));
  const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const same = (a, b) => hex(a) === hex(b);
  const uint32 = (n) => new Uint8Array([n >>> 24, n >>> 16, n >>> 8, n]);
  const withLength = (bytes) => join(uint32(bytes.length), bytes);

  /** Reads base64 in its one canonical form. */
  const base64 = (encoded, name) => {
    let binary;
    try {
      binary = atob(encoded);
    } catch {
      refuse(name);
    }
    if (btoa(binary) !== encoded) refuse(name);
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  };

  /** Reads numbers and texts; what is cut off is refused, and so is what follows the end. */
  class Reader {
    constructor(bytes) {
      this.rest = bytes;
    }
    bytes(n) {
      if (n > this.rest.length) refuse("form");
      const taken = this.rest.subarray(0, n);
      this.rest = this.rest.subarray(n);
      return taken;
    }
    number(size) {
      return this.bytes(size).reduce((n, byte) => (n << 8n) | BigInt(byte), 0n);
    }
    count() {
      return Number(this.number(4));
    }
    signed() {
      return BigInt.asIntN(64, this.number(8));
    }
    text() {
      try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.bytes(this.count()));
      } catch {
        return refuse("form");
      }
    }
    hashes() {
      const all = [];
      for (let left = this.count(); left > 0; left--) all.push(this.bytes(hashSize));
      return all;
    }
    end() {
      if (this.rest.length > 0) refuse("form");
    }
  }

  /** What a code says, unverified. Parts that are hashed are kept as the bytes that they are. */
  const parse = (code) => {
    const encoded = code.replace(/\s+/g, "");
    if (!encoded.startsWith(header)) refuse("form");
    const word = encoded.slice(header.length);
    if (!/^[\w-]*$/.test(word)) refuse("form");
    const plain = word.replaceAll("-", "+").replaceAll("_", "/");
    const outer = new Reader(base64(plain.padEnd(Math.ceil(plain.length / 4) * 4, "="), "form"));
    const leaf = new Reader(outer.bytes(outer.count()));
    const number = outer.signed();
    const path = outer.hashes();
    const note = outer.text();
    outer.end();

    const shareHeader = textOf.encode("cagnotte ledger share of a leaf 2\n");
    if (!same(leaf.bytes(shareHeader.length), shareHeader)) refuse("form");
    const before = leaf.rest;
    const head = { book: leaf.text(), number: leaf.signed(), id: leaf.signed(), written: leaf.number(8) };
    Object.assign(head, { reference: leaf.text(), kind: leaf.text(), effective: leaf.signed(), recorded: leaf.signed() });
    head.raw = before.subarray(0, before.length - leaf.rest.length);
    const collective = leaf.text();
    const salt = leaf.bytes(hashSize);
    const listed = leaf.rest;
    const entries = [];
    for (let left = leaf.count(); left > 0; left--) {
      entries.push({
        line: leaf.number(2),
        code: leaf.text(),
        minor: leaf.signed(),
        currency: leaf.text(),
        campaign: leaf.text(),
        donation: hex(leaf.bytes(16)),
      });
    }
    const raw = listed.subarray(0, listed.length - leaf.rest.length);
    const others = leaf.hashes();
    leaf.end();
    // The hashes are in order and differ, so that one share has one encoding.
    const ordered = others.every((hash, i) => i === 0 || hex(others[i - 1]) < hex(hash));
    if (entries.length === 0 || others.length === 0 || !ordered || head.number !== number) refuse("form");
    return { head, collective, salt, entries, raw, others, path, note };
  };

  /** The hash of the whole transaction in the tree (RFC 6962, section 2.1). */
  const leafHash = async ({ head, collective, salt, raw, others }) => {
    const own = await sha256(textOf.encode("cagnotte ledger entries 2\n"), salt, withLength(textOf.encode(collective)), raw);
    const parts = [own, ...others].sort((a, b) => (hex(a) < hex(b) ? -1 : 1));
    return sha256([0], textOf.encode("cagnotte ledger leaf 2\n"), head.raw, uint32(parts.length), ...parts);
  };

  /** The root that a path leads to (RFC 9162, section 2.1.3.2). */
  const rootOf = async (hash, number, size, path) => {
    let [index, last] = [number - 1n, size - 1n];
    for (const sibling of path) {
      if (last === 0n) refuse("path");
      if (index & 1n || index === last) {
        hash = await sha256([1], sibling, hash);
        while (!(index & 1n) && index !== 0n) [index, last] = [index >> 1n, last >> 1n];
      } else {
        hash = await sha256([1], hash, sibling);
      }
      [index, last] = [index >> 1n, last >> 1n];
    }
    if (last !== 0n) refuse("path");
    return hash;
  };

  /** Reads a verifier key, NAME+HASH+KEY (https://c2sp.org/signed-note). */
  const parseKey = async (key) => {
    const [, name, id, encoded] = key.trim().match(/^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/) ?? refuse("key");
    const bytes = base64(encoded, "key");
    if (bytes.length !== 33 || bytes[0] !== 1) refuse("key");
    const hash = (await sha256(textOf.encode(`${name}\n`), bytes)).subarray(0, 4);
    if (hex(hash) !== id) refuse("key");
    return { name, hash, raw: bytes.subarray(1) };
  };

  /** Checks the signature of a checkpoint, and returns what it says. */
  const openCheckpoint = async (note, key) => {
    const { name, hash, raw } = await parseKey(key);
    const end = note.lastIndexOf("\n\n");
    if (end < 0) refuse("signature");
    const text = note.slice(0, end + 1);
    const signature = note.slice(end + 2).match(/^— (\S+) (\S+)\n$/) ?? refuse("signature");
    if (signature[1] !== name) refuse("otherKey");
    const signed = base64(signature[2], "signature");
    if (signed.length !== 68 || !same(signed.subarray(0, 4), hash)) refuse("otherKey");
    let imported;
    try {
      imported = await crypto.subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
    } catch {
      refuse("browser");
    }
    if (!(await crypto.subtle.verify({ name: "Ed25519" }, imported, signed.subarray(4), textOf.encode(text)))) refuse("signature");
    const lines = text.match(/^(.+)\n([1-9]\d*)\n(.+)\nsigned (.+)\nshares .+\n$/) ?? refuse("signature");
    if (lines[1] !== name) refuse("signature");
    return { origin: lines[1], size: BigInt(lines[2]), root: base64(lines[3], "signature"), signedAt: new Date(lines[4]) };
  };

  /** Returns what a code proves under a key, or throws a Refusal. */
  const verify = async (code, key) => {
    if (!globalThis.crypto?.subtle) refuse("browser");
    const said = parse(code);
    const checkpoint = await openCheckpoint(said.note, key);
    const origin = await sha256(textOf.encode("cagnotte ledger book\n"), textOf.encode(said.head.book));
    if (`cagnotte-ledger-${hex(origin.subarray(0, 16))}` !== checkpoint.origin) refuse("path");
    if (said.head.number < 1n || said.head.number > checkpoint.size) refuse("path");
    const root = await rootOf(await leafHash(said), said.head.number, checkpoint.size, said.path);
    if (!same(root, checkpoint.root)) refuse("path");
    return { ...said, checkpoint };
  };

  // Not all browsers know Occitan and Breton: days and amounts are then in figures, as French has them.
  const known = Intl.DateTimeFormat.supportedLocalesOf(document.documentElement.lang).length > 0;
  const lang = known ? document.documentElement.lang : "fr", dateStyle = known ? "long" : "short";
  const money = (minor, currency) => {
    const format = new Intl.NumberFormat(lang, { style: "currency", currency });
    return format.format(Number(minor) / 10 ** format.resolvedOptions().maximumFractionDigits);
  };
  const day = (micros) => new Date(Number(micros / 1000n)).toLocaleDateString(lang, { dateStyle });

  /** The amount of a transaction: what it changes on the accounts of one side, so a fee is not added to what it is taken from. */
  const amountsOf = (entries) => {
    const accounts = Map.groupBy(entries, ({ code, currency }) => `${currency} ${code}`);
    const sums = new Map();
    for (const [{ currency }, change] of [...accounts.values()].map((own) => [own[0], own.reduce((sum, { minor }) => sum + minor, 0n)])) {
      if (change > 0n) sums.set(currency, (sums.get(currency) ?? 0n) + change);
    }
    return [...sums].map(([currency, minor]) => money(minor, currency)).join(" + ");
  };

  for (const part of document.querySelectorAll("[data-proof]")) {
    const [code, key, button, verdict] = ["code", "key", "check", "verdict"].map((name) => part.querySelector(`[data-part=${name}]`));
    // A sentence of the page, and what stands in it. Values are set as text, never as HTML.
    const sentence = (name, values = {}) => {
      const p = document.createElement("p");
      p.textContent = part.dataset[name].replace(/\{(\w+)\}/g, (_, value) => values[value]);
      return p;
    };
    const tell = (tone, ...sentences) => {
      sentences[0].className = "strong";
      verdict.dataset.tone = tone;
      verdict.replaceChildren(...sentences);
    };
    const check = async () => {
      verdict.replaceChildren();
      try {
        const { head, collective, entries, checkpoint } = await verify(code.value, key.value);
        const campaigns = [...new Set(entries.map((entry) => entry.campaign).filter(Boolean))].join(", ");
        tell(
          "good",
          sentence("good"),
          sentence(head.kind === "donation" ? "donation" : "other", {
            amount: amountsOf(entries), day: day(head.effective), collective, campaign: campaigns || "–", kind: head.kind,
          }),
          sentence("place", {
            number: new Intl.NumberFormat(lang).format(head.number),
            size: new Intl.NumberFormat(lang).format(checkpoint.size),
            time: checkpoint.signedAt.toLocaleString(lang, { dateStyle, timeStyle: "short" }),
          }),
          sentence("compare"),
        );
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        tell("bad", sentence("bad"), sentence(error.message));
      }
    };
    button.addEventListener("click", check);
    button.closest("[hidden]")?.removeAttribute("hidden");
  }
  // For tests, and for whoever wants to check many codes in the browser's own console.
  globalThis.verifyProofCode = (code, key) => verify(code, key).then(() => "", (error) => error.message);
})();
