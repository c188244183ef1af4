// Rows of the answers: unpacked, filtered by what is chosen, aggregated as their measures say.
function unpacked(packed) {
  const columns = Object.entries(packed.columns).map(([name, column]) => [
    name,
    Array.isArray(column) ? column : column.at.map((at) => column.values[at]),
  ]);
  const rows = [];
  for (let i = 0; i < packed.rows; i += 1) {
    rows.push(Object.fromEntries(columns.map(([name, values]) => [name, values[i]])));
  }
  return { ...packed, names: columns.map(([name]) => name), rows };
}

const PAGE = JSON.parse(document.getElementById("page").textContent);
const SOURCES = PAGE.sources.map(unpacked);
const DATES = PAGE.dates ? PAGE.dates.columns : [];
// What is chosen: a span of days, and values by column.
const chosen = { span: null, values: new Map() };

const dateColumn = (source) => DATES.find((column) => source.names.includes(column));

function kept(source, span) {
  const day = span && dateColumn(source);
  const wanted = PAGE.choosable.filter((column) => source.names.includes(column)).flatMap((column) => {
    if (chosen.values.has(column)) return [[column, chosen.values.get(column)]];
    return source.whole.includes(column) ? [[column, null]] : [];
  });
  return source.rows.filter((row) =>
    (!day || (row[day] >= span.from && row[day] <= span.to))
    && wanted.every(([column, value]) => row[column] === value));
}

function value(rows, measure, span) {
  if (!rows.length) return null;
  const counted = measure.aggregate === "first_seen" && span
    ? rows.filter((row) => row[measure.since] === null || row[measure.since] < span.from)
    : rows;
  if (measure.aggregate === "max") {
    return counted.reduce((most, row) => (most === null || row[measure.column] > most ? row[measure.column] : most), null);
  }
  const total = (column) => exact(counted.reduce((sum, row) => sum + (row[column] ?? 0), 0));
  if (!measure.over) return total(measure.column);
  const below = total(measure.over);
  return below ? total(measure.column) / below : null;
}

const keyText = (row, columns) => JSON.stringify(columns.map((column) => row[column]));

function grouped(rows, columns) {
  const groups = new Map();
  for (const row of rows) {
    const key = keyText(row, columns);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return [...groups.values()];
}

const ordered = (values) => [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
const shiftedBy = (span, days) => ({ from: plusDays(span.from, -days), to: plusDays(span.to, -days) });
const lengthOf = (span) => daysBetween(span.from, span.to) + 1;
