// What each kind of visual shows of its rows: marks for its chart, and a table that says the same.
// `head` names the table's columns, `body` has their values, `picks` what a row chooses.
const MOST_SERIES = 7;
const MOST_STEPS = 40;
const OTHER = "other";

function shown(visual) {
  const source = SOURCES[visual.source];
  if (visual.selected_by && !chosen.values.has(visual.selected_by)) {
    return { waits: true, marks: [], head: [], body: [], picks: [] };
  }
  return KINDS[visual.kind](visual, source, kept(source, visual.all_days ? null : chosen.span));
}

const head = (part) => ({ title: part.unit ? `${part.title} (${part.unit})` : part.title, form: part.form });
const keyOf = (field) => field.key || field.column;
const fieldHead = (field) => ({ title: field.title, form: field.form });

function texted(field, row) {
  const found = field.texts.find(([value]) => value === row[field.column]);
  if (!found) return field.texts.length ? "" : row[field.column];
  return found[1].replace(/\{(\w+)\}/g, (_, name) => row[name] ?? "");
}

function largest(visual, measure) {
  // The names of the largest series, and those of the others where they are too many to tell apart.
  // Of all rows, whatever is chosen: a series keeps its colour.
  const column = visual.series.column;
  const sized = grouped(SOURCES[visual.source].rows, [column]).map((group) => [group[0][column], value(group, measure, null) ?? 0]);
  const names = sized.sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const own = names.length > MOST_SERIES ? names.slice(0, MOST_SERIES - 1) : names;
  return { own, rest: new Set(names.slice(own.length)) };
}

function seriesOf(visual, rows) {
  // Each series is a title and what its value is of the rows of one place.
  if (!visual.series) return visual.measures.map((m) => ({ title: m.title, of: (some) => value(some, m, chosen.span) }));
  const column = visual.series.column;
  const [measure] = visual.measures;
  const { own, rest } = largest(visual, measure);
  const found = own.map((name) => ({
    title: written(name, visual.series.form),
    of: (some) => value(some.filter((row) => row[column] === name), measure, chosen.span),
  }));
  if (rest.size) {
    found.push({ title: OTHER, of: (some) => value(some.filter((row) => rest.has(row[column])), measure, chosen.span) });
  }
  return found;
}

function line(visual, source, rows) {
  const column = visual.x.column;
  const isDay = visual.x.form === "day";
  const form = visual.cumulative ? "percent" : visual.measures[0].form;
  const places = isDay && chosen.span && dateColumn(source) === column
    ? allDays(source, rows) : ordered(new Set(rows.map((row) => row[column])));
  const at = new Map(grouped(rows, [column]).map((group) => [group[0][column], group]));
  const additive = visual.measures.every((m) => !m.over);
  const missing = isDay && additive ? 0 : null;
  const series = seriesOf(visual, rows);
  let lines = series.map((s) => ({ title: s.title, values: places.map((place) => (at.has(place) ? s.of(at.get(place)) ?? missing : missing)) }));
  if (visual.cumulative) lines = lines.map((l) => ({ title: l.title, values: running(l.values) }));
  if (visual.average_days && rows.length) {
    lines[0].title = "each day";
    const values = averages(visual, source, places);
    if (values.some((v) => v !== null)) lines.push({ title: `${visual.average_days}-day average`, average: true, values });
  }
  const marks = lines.flatMap((l) => places.map((place, i) => ({
    x: isDay || visual.x.form === "month" ? time(place) : place,
    c_label: written(place, visual.x.form),
    y: l.values[i],
    y_label: written(l.values[i], form),
    s: l.title,
    average: Boolean(l.average),
    alone: places.length === 1,
  })));
  const measureHead = visual.measures[0];
  const begin = visual.average_days && rows.length && plusDays(source.first, visual.average_days - 1);
  return {
    marks: rows.length ? marks : [],
    more: begin && places[0] < begin ? `No ${visual.average_days}-day average before ${written(begin, "day")}: it needs ${visual.average_days} days.` : "",
    head: [fieldHead(visual.x), ...lines.map((l) => ({ title: lines.length > 1 ? l.title : head(measureHead).title, form }))],
    body: rows.length ? places.map((place, i) => [place, ...lines.map((l) => l.values[i])]) : [],
    picks: [],
  };
}

// Days without a row are days on which nothing was sold, but for those before the first of all.
function allDays(source, rows) {
  if (!rows.length) return [];
  const days = [];
  const first = source.first > chosen.span.from ? source.first : chosen.span.from;
  const last = source.last < chosen.span.to ? source.last : chosen.span.to;
  for (let day = first; day <= last; day = plusDays(day, 1)) days.push(day);
  return days;
}

function averages(visual, source, places) {
  const days = visual.average_days;
  const [measure] = visual.measures;
  const before = { from: plusDays(places[0], -(days - 1)), to: places[places.length - 1] };
  const at = new Map(grouped(kept(source, before), [visual.x.column]).map((group) => [group[0][visual.x.column], group]));
  return places.map((place) => {
    if (daysBetween(source.first, place) + 1 < days) return null;  // an average of fewer is another
    let total = 0;
    for (let back = 0; back < days; back += 1) {
      const group = at.get(plusDays(place, -back));
      if (group) total += value(group, measure, null);
    }
    return exact(total / days);
  });
}

function running(values) {
  const total = values.reduce((sum, v) => sum + (v ?? 0), 0);
  let sum = 0;
  return values.map((v) => { sum += v ?? 0; return total ? sum / total : null; });
}

function bars(visual, source, rows) {
  const { column, form } = visual.category;
  const inOrder = form === "day" || form === "month";
  const series = seriesOf(visual, rows);
  const stacked = series.length > 1 || visual.series;
  const groups = grouped(rows, [column]).map((group) => {
    const values = series.map((s) => s.of(group));
    return { key: group[0][column], row: group[0], values, total: exact(values.reduce((sum, v) => sum + (v ?? 0), 0)) };
  });
  groups.sort(inOrder ? (a, b) => (a.key < b.key ? -1 : 1) : (a, b) => b.total - a.total || (String(a.key) < String(b.key) ? -1 : 1));
  const some = inOrder ? groups : groups.slice(0, visual.top);
  const past = earlierOf(visual, [column], (group) => exact(series.reduce((sum, s) => sum + (s.of(group) ?? 0), 0)));
  const measure = visual.measures[0];
  const changed = (group) => (past ? group.total - (past.get(keyText(group.row, [column])) ?? 0) : null);
  const marks = some.flatMap((group) => series.map((s, place) => ({
    x: inOrder ? time(group.key) : undefined,
    c: written(group.key, form),
    c_label: written(group.key, form),
    y: group.values[place] ?? 0,
    y_label: written(group.values[place], measure.form),
    s: stacked ? s.title : measure.title,
    place,
    total: group.total,
    room: place ? null : some[0].total,
    end_label: place ? null : `${shortly(group.total, measure.form)}${past ? `  ${signed(changed(group), measure.form)}` : ""}`,
    pick: group.key,
  })));
  return {
    marks,
    more: groups.length > some.length ? `The first ${some.length} of ${groups.length}.` : "",
    head: [fieldHead(visual.category), ...(stacked ? series.map((s) => ({ title: s.title, form: measure.form })) : [head(measure)]), ...(past ? [{ title: `Change in ${PAGE.daysBack} days`, form: measure.form }] : [])],
    body: groups.map((group) => [group.key, ...group.values, ...(past ? [changed(group)] : [])]),
    picks: visual.drill_down ? groups.map((group) => [column, group.key]) : [],
  };
}

// An earlier answer without rows is nothing to compare with.
const lacksPast = (visual) => visual.before !== null && !SOURCES[visual.before].rows.length;

function saidOfPast(visual) {
  if (visual.before === null) return "";
  if (lacksPast(visual)) return `Nothing ${PAGE.daysBack} days before to compare with.`;
  return visual.kind === "Bars" ? `Beside each bar: the change in ${PAGE.daysBack} days.` : "";
}

// What the earlier answer says of each group; null where there is none.
function earlierOf(visual, columns, of) {
  if (visual.before === null || lacksPast(visual)) return null;
  return new Map(grouped(kept(SOURCES[visual.before], null), columns).map((group) => [keyText(group[0], columns), of(group)]));
}

const signed = (change, form) => (change === 0 ? "±0" : `${change > 0 ? "+" : "−"}${shortly(Math.abs(change), form)}`);

function ranked(visual, source, rows) {
  const columns = visual.fields.map(keyOf);
  const past = earlierOf(visual, columns, (group) => value(group, visual.measures[0], null));
  const groups = grouped(rows, columns).map((group) => {
    const values = visual.measures.map((measure) => value(group, measure, chosen.span));
    const change = past ? [exact(values[0] - (past.get(keyText(group[0], columns)) ?? 0))] : [];
    return { row: group[0], cells: [...visual.fields.map((field) => texted(field, group[0])), ...values, ...change], by: values[0] };
  });
  if (visual.measures.length) groups.sort((a, b) => (b.by ?? -Infinity) - (a.by ?? -Infinity));
  if (visual.turned) return turned(visual, groups);
  const some = groups.slice(0, visual.top);
  const of = chosen.values.size ? groups.length : Math.max(source.total, groups.length);
  return {
    marks: [],
    more: of > some.length ? `The first ${some.length} of ${whole.format(of)}.` : "",
    head: [...visual.fields.map(fieldHead), ...visual.measures.map(head), ...(past ? [{ title: `Change in ${PAGE.daysBack} days`, form: visual.measures[0].form, signed: true }] : [])],
    body: some.map((group) => group.cells),
    picks: visual.drill_down ? some.map((group) => [visual.drill_down, group.row[visual.drill_down]]) : [],
    pickAt: visual.fields.findIndex((field) => field.column === visual.drill_down),
  };
}

function turned(visual, groups) {
  const [first] = groups;
  return {
    marks: [], picks: [],
    head: [{ title: "What", form: "text" }, { title: "Value", form: "text" }],
    body: first ? visual.fields.map((field, at) => [field.title, written(first.cells[at], field.form)]) : [],
  };
}

function heatMap(visual, source, rows) {
  const groups = grouped(rows, [visual.y.column, visual.x.column]).map((group) => ({
    x: group[0][visual.x.column], y: group[0][visual.y.column], v: value(group, visual.measure, chosen.span),
  }));
  const most = Math.max(...groups.map((g) => g.v ?? 0));
  const steps = allSteps(groups.map((g) => g.y), visual.y.form);
  const down = visual.y.form === "count" ? steps.reverse() : steps;
  const across = allSteps(groups.map((g) => g.x), visual.x.form);
  groups.sort((a, b) => down.indexOf(a.y) - down.indexOf(b.y) || across.indexOf(a.x) - across.indexOf(b.x));
  const found = new Map(groups.map((g) => [JSON.stringify([g.y, g.x]), g.v]));
  // A cell for each two steps, so that axes are whole; one that nothing is of stays empty.
  const marks = down.flatMap((y, row) => across.map((x, column) => {
    const v = found.get(JSON.stringify([y, x])) ?? null;
    return {
      c: written(y, visual.y.form), c_label: written(y, visual.y.form), down: row,
      x: written(x, visual.x.form), x_label: written(x, visual.x.form), across: column,
      y: v, y_label: written(v, visual.measure.form),
      short: v === null ? "" : visual.measure.form === "percent" ? `${whole.format(v * 100)} %` : shortly(v, visual.measure.form),
      strong: v > most * 0.55,
    };
  }));
  return {
    marks,
    head: [fieldHead(visual.y), fieldHead(visual.x), head(visual.measure)],
    body: groups.map((g) => [g.y, g.x, g.v]),
    picks: [],
  };
}

// Values in their order; of numbers, those between the least and the most that nothing is of, too.
function allSteps(values, form) {
  const steps = ordered(new Set(values));
  const length = steps[steps.length - 1] - steps[0] + 1;
  return form === "count" && length <= MOST_STEPS ? Array.from({ length }, (_, i) => steps[0] + i) : steps;
}

function scatter(visual, source, rows) {
  const column = visual.point.column;
  const groups = grouped(rows, [keyOf(visual.point)]).map((group) => ({
    row: group[0], values: [visual.x, visual.y, visual.size].map((m) => value(group, m, chosen.span)),
  })).filter((g) => g.values.every((v) => v !== null));
  const series = visual.series ? visual.series.column : null;
  const { own } = series ? largest(visual, visual.size) : { own: [] };
  const seriesIn = (row) => (own.includes(row[series]) ? written(row[series], "text") : OTHER);
  const marks = groups.map(({ row, values: [x, y, size] }) => ({
    c_label: written(row[column], visual.point.form), x, y, size,
    x_label: written(x, visual.x.form), y_label: written(y, visual.y.form), size_label: written(size, visual.size.form),
    s: series ? seriesIn(row) : "", pick: row[column],
  }));
  // Names come in their order: by that a series has its colour.
  const order = [...own.map((name) => written(name, "text")), OTHER];
  marks.sort((a, b) => order.indexOf(a.s) - order.indexOf(b.s));
  const of = chosen.values.size ? groups.length : Math.max(source.total, groups.length);
  return {
    marks,
    more: of > groups.length ? `The first ${groups.length} of ${whole.format(of)}.` : "",
    head: [fieldHead(visual.point), ...(visual.series ? [fieldHead(visual.series)] : []), head(visual.x), head(visual.y), head(visual.size)],
    body: groups.map(({ row, values }) => [row[column], ...(series ? [row[series]] : []), ...values]),
    picks: visual.drill_down ? groups.map(({ row }) => [column, row[column]]) : [],
  };
}

function funnel(visual, source, rows) {
  const stages = grouped(rows, [visual.stage.column])
    .map((group) => ({ name: group[0][visual.stage.column], at: group[0][visual.order], v: value(group, visual.measure, chosen.span) }))
    .sort((a, b) => a.at - b.at);
  const of = (stage) => (stages[0].v ? stage.v / stages[0].v : null);
  return {
    marks: stages.map((stage) => ({
      c: stage.name, c_label: stage.name, y: stage.v, y_label: written(stage.v, visual.measure.form), s: "",
      room: stages[0].v,
      end_label: `${shortly(stage.v, visual.measure.form)} · ${written(of(stage), "percent")}`,
    })),
    head: [fieldHead(visual.stage), head(visual.measure), { title: "Of the first", form: "percent" }],
    body: stages.map((stage) => [stage.name, stage.v, of(stage)]),
    picks: [],
  };
}

function figure(visual, source, rows) {
  const { measure } = visual;
  const now = value(rows, measure, chosen.span);
  const changes = visual.change && chosen.span ? earlier(chosen.span).map(([title, span]) => {
    const isHeld = span.from >= source.first;
    return { title, isHeld, before: isHeld ? value(kept(source, span), measure, span) : null };
  }) : [];
  return {
    marks: [], now, changes,
    head: [{ title: "Days", form: "text" }, head(measure)],
    body: now === null ? [] : [
      [dateColumn(source) && chosen.span ? `${chosen.span.from} to ${chosen.span.to}` : "all", now],
      ...changes.filter((c) => c.before !== null).map((c) => [c.title, c.before]),
    ],
    picks: [],
  };
}

// The span before, and the same days of the week: one where a span is of whole weeks.
function earlier(span) {
  const days = lengthOf(span);
  const weeks = Math.ceil(days / 7) * 7;
  const before = days === 1 ? "the day before" : `the ${whole.format(days)} days before`;
  const found = [[before, shiftedBy(span, days)]];
  if (weeks !== days) found.push([weeks === 7 ? "the same weekdays a week before" : `the same weekdays ${weeks / 7} weeks before`, shiftedBy(span, weeks)]);
  return found;
}

const KINDS = { Figure: figure, Line: line, Bars: bars, RankedTable: ranked, HeatMap: heatMap, Scatter: scatter, Funnel: funnel };
