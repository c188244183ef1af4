// How values are written. Days are UTC's, as everywhere.
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const some = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
const share = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const dayText = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" });
const weekday = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", weekday: "short" });
const monthText = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "short", year: "numeric" });
const COMPACT_FROM = 1e6;
const DAY = 86400000;

const time = (day) => Date.parse(`${day}T00:00:00Z`);
const dayOf = (ms) => new Date(ms).toISOString().slice(0, 10);
const plusDays = (day, days) => dayOf(time(day) + days * DAY);
const daysBetween = (from, to) => Math.round((time(to) - time(from)) / DAY);

function written(value, form) {
  if (value === null || value === undefined) return "–";
  switch (form) {
    case "count": return whole.format(value);
    case "money": return cents.format(value);
    case "decimal": return some.format(value);
    case "percent": return share.format(value);
    case "seconds": return `${some.format(value / 1000)} s`;
    case "day": return `${weekday.format(time(value))} ${dayText.format(time(value))}`;
    case "month": return monthText.format(time(value));
    case "words": return String(value).replaceAll("_", " ");
    default: return String(value);
  }
}

function shortly(value, form) {
  if (value === null || value === undefined) return "–";
  if (form === "percent" || form === "seconds") return written(value, form);
  return Math.abs(value) >= COMPACT_FROM ? short.format(value) : written(value, form);
}

// Sums of cents in binary: what lies beyond the tables' four places is no value of theirs.
const exact = (value) => Math.round(value * 1e4) / 1e4;

const isNumber = (form) => ["count", "money", "decimal", "percent", "seconds"].includes(form);
