// Numbers, durations and times as text.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT_CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

// Separates thousands with thin spaces.
function number(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

function plural(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

function seconds(value) {
  if (value < 0.0001) return `${Math.round(value * 1e6)} \u00b5s`;
  if (value < 0.001) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 10 && !Number.isInteger(value)) return `${value.toFixed(1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  const hours = Math.floor(value / 3600);
  if (hours < 48) return `${hours} h ${Math.round(value / 60) % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

// Rounded up to 5 s, because the estimate is not exact.
function estimate(value) {
  return `about ${seconds(value < 60 ? Math.max(5, Math.ceil(value / 5) * 5) : value)} left`;
}

function isOtherDay(time, now) {
  return new Date(time).toDateString() !== new Date(now).toDateString();
}

// Formats a time in the time zone of the browser.
function clock(time, now) {
  return isOtherDay(time, now) ? `${DAY.format(time)} ${CLOCK.format(time)}` : CLOCK.format(time);
}

function shortClock(time, step) {
  return step < MINUTE ? CLOCK.format(time) : step < 24 * HOUR ? SHORT_CLOCK.format(time) : DAY.format(time);
}

function words(name) {
  const text = name.replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}
