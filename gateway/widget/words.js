// How the widget writes and reads money, dates and sentences. A part of widget.js, which has STRINGS.

// Decimals of a currency as Stripe counts them; browsers' tables differ for some.
const NO_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF";
const THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND";

/** Money, dates and sentences of one language and currency. */
class Words {
  constructor(lang, currency) {
    this.lang = lang;
    this.locale = lang === "en" ? "en-GB" : "fr-FR";
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
    return new Intl.DateTimeFormat(this.locale, { dateStyle: "long", timeZone: "UTC" }).format(new Date(day));
  }

  wait(seconds) {
    const [value, unit] = seconds > 90 ? [Math.ceil(seconds / 60), "minute"] : [seconds, "second"];
    return new Intl.NumberFormat(this.locale, { style: "unit", unit, unitDisplay: "long" }).format(value);
  }

  say(key, values = {}) {
    return STRINGS[this.lang][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  /** What somebody typed, in minor units; null when it is no amount. "1.000" is refused: it is a
   *  thousand to some and one to others. */
  parse(text) {
    const plain = text.replace(/[\s\u00a0\u202f]/g, "").replace(this.symbol, "");
    const match = /^(\d{1,9})(?:[.,](\d*))?$/.exec(plain);
    const cents = match?.[2] ?? "";
    if (!match || cents.length > this.digits) return null;
    return Number(match[1]) * 10 ** this.digits + Number(cents.padEnd(this.digits, "0"));
  }
}
