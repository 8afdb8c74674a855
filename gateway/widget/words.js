// How the widget writes and reads money, dates and sentences. A part of widget.js.

// Decimals of a currency as Stripe counts them; browsers' tables differ for some.
const NO_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF";
const THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND";
/** What people write for a currency beside its sign and its code, as in package money. */
const NAMES = { EUR: "euroioù|[eè]uros?", USD: "dollars?|dólar(?:es)?", GBP: "pounds?|livres?|libras?|pfund", CHF: "franco?s?|franken" };

/** Money, dates and sentences of one language and currency. */
class Words {
  /** Said are the sentences, with their language, its locale in browsers, and months where browsers may not know any. */
  constructor(said, currency) {
    this.said = said;
    this.lang = said.lang;
    this.locale = said.locale;
    this.currency = currency;
    this.digits = NO_DECIMALS.includes(currency) ? 0 : THREE_DECIMALS.includes(currency) ? 3 : 2;
    this.symbol = this.#format({}).formatToParts(0).find((part) => part.type === "currency").value;
  }

  #format(options) {
    return new Intl.NumberFormat(this.locale, { style: "currency", currency: this.currency, ...options });
  }

  /** "20 €", "12,50 €": cents only where there are some. */
  money(amountMinor) {
    const unit = 10 ** this.digits;
    const digits = amountMinor % unit === 0 ? 0 : this.digits;
    return this.#format({ minimumFractionDigits: digits, maximumFractionDigits: digits }).format(amountMinor / unit);
  }

  /** Rounded down: 99.6 % is not all of it. */
  percent(ratio) {
    return new Intl.NumberFormat(this.locale, { style: "percent" }).format(Math.floor(ratio * 100) / 100);
  }

  // A day, YYYY-MM-DD, which is midnight of UTC to Date: it is the same day for readers of all zones.
  date(day) {
    const [year, month, number] = day.split("-").map(Number), { months } = this.said;
    if (months) return `${number === 1 ? months[0] : number}\u00a0${months[month]} ${year}`;
    return new Intl.DateTimeFormat(this.locale, { dateStyle: "long", timeZone: "UTC" }).format(new Date(day));
  }

  wait(seconds) {
    const [value, unit] = seconds > 90 ? [Math.ceil(seconds / 60), "minute"] : [seconds, "second"];
    return new Intl.NumberFormat(this.locale, { style: "unit", unit, unitDisplay: this.said.months ? "short" : "long" }).format(value);
  }

  /** "par virement, par chèque ou en espèces". */
  list(items) {
    // The server leaves out plain spaces behind commas.
    return [items.slice(0, -1).join(",\u0020"), items.at(-1)].filter(Boolean).join(` ${this.say("or")} `);
  }

  say(key, values = {}) {
    return this.said[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  /** What somebody typed, in minor units; null when it is no amount. The rule is that of package money, whose test reads the
   *  same table: the currency may stand on either side, thousands are groups of three, and "1.000" is refused, because it is
   *  a thousand to some and one to others. */
  parse(text) {
    const marks = [NAMES[this.currency], this.currency, this.symbol.replace(/\W/g, "\\$&")].filter(Boolean).join("|");
    const plain = text.replace(/\s/g, " ").replace(/’/g, "'").trim()
      .replace(new RegExp(`^(?:${marks}) *| *(?:${marks})$`, "i"), "");
    const at = Math.max(plain.lastIndexOf("."), plain.lastIndexOf(","));
    let whole = plain, cents = "";
    if (at >= 0) {
      const before = plain.slice(0, at), after = plain.slice(at + 1);
      const unclear = after.length === 3 && /^[1-9]\d{0,2}$/.test(before);
      if (unclear && this.digits === 2) return null;
      // One that occurs twice is for thousands.
      if (!before.includes(plain[at]) && !(unclear && !this.digits)) [whole, cents] = [before, after];
    }
    if (!/\d$/.test(plain) || !/^(\d+|\d{1,3}([ '.,])\d{3}(\2\d{3})*)$/.test(whole)) return null;
    if (!/^\d*$/.test(cents) || cents.length > this.digits) return null;
    return Number(whole.replace(/\D/g, "") + cents.padEnd(this.digits, "0"));
  }
}
