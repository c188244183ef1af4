// The page: filters, drawing, drill-downs, export, themes.
const MOST_TABLE_ROWS = 400;
const drawings = PAGE.visuals.map((visual, index) => ({
  visual, index, box: document.getElementById(`visual-${index}`), view: null, now: null,
}));
const element = (id) => document.getElementById(id);

function make(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, given] of Object.entries(attributes)) made.setAttribute(name, given);
  return made;
}

// ---------------------------------------------------------------------------------- drawing

const theme = () => document.documentElement.dataset.theme
  || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

// How many pixels a text of a chart takes, in the reader's own font.
function measured(found) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${found.legend.labelFontSize}px ${found.font}`;
  return (text) => pen.measureText(text).width;
}

// The theme, fitted to a chart's width: a legend is one line where there is room for it beside the
// axis' texts, and else has as many names side by side as there is.
function themeFor(place, marks) {
  const found = PAGE.themes[theme()];
  const wide = measured(found);
  const pixels = (name) => [...new Set(marks.map((mark) => mark[name] ?? ""))].map(wide);
  const labelLimit = 0.4 * place.clientWidth;
  const room = place.clientWidth - Math.max(75, 15 + Math.min(labelLimit, Math.max(...pixels("c"))));
  const names = pixels("s").map((text) => text + 28);
  const isOneLine = names.reduce((sum, name) => sum + name, 0) <= room;
  const columns = isOneLine ? names.length : Math.max(1, Math.floor(room / Math.max(...names)));
  return { ...found, axis: { ...found.axis, labelLimit }, legend: { ...found.legend, columns } };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

async function drawChart(drawing) {
  const place = drawing.box.querySelector(".chart");
  const { marks } = drawing.now;
  if (drawing.view) { drawing.view.finalize(); drawing.view = null; place.replaceChildren(); }
  if (!marks.length) return;
  // So many pixels of text stand at the end of the longest bar.
  const room = 1 + Math.min(1, 90 / Math.max(90, place.clientWidth - 190));
  const roomy = marks.map((mark) => ({
    ...mark,
    ...(mark.room ? { room: mark.room * room } : {}),
    ...(mark.short ? { ink: colour(mark.strong ? "--on-strong" : "--ink") } : {}),
  }));
  const chart = PAGE.charts[drawing.index];
  const step = chart.height.step;  // of a chart that grows with its rows
  const height = step ? step * new Set(marks.map((mark) => mark.c)).size : chart.height;
  const spec = { ...chart, height, data: { name: "rows", values: roomy } };
  const embedded = await vegaEmbed(place, spec, {
    actions: false, renderer: "svg", ast: true, logLevel: 1, config: themeFor(place, marks), tooltip: { theme: "custom" },
  });
  drawing.view = embedded;
  // The element around it says what is seen, and the table below has the rows.
  place.querySelector("svg").setAttribute("aria-hidden", "true");
  embedded.view.addEventListener("click", (_, item) => {
    if (item && item.datum && item.datum.pick !== undefined && drawing.visual.chooses) choose(drawing.visual.chooses, item.datum.pick);
  });
}

function drawFigure({ box, visual, now }) {
  const { measure } = visual;
  const number = box.querySelector(".value");
  number.textContent = shortly(now.now, measure.form);
  number.dataset.value = now.now ?? "";
  const whole = now.now !== null && shortly(now.now, measure.form) !== written(now.now, measure.form);
  box.querySelector(".unit").textContent = `${whole ? `${written(now.now, measure.form)} ` : ""}${measure.unit}`;
  const compared = now.changes.filter(({ before }) => before !== null && now.now !== null);
  const isHeld = !SOURCES[visual.source].isCut || now.changes.some((change) => change.isHeld);
  const why = isHeld ? "Nothing before these days to compare with." : "The days before are not all on this page.";
  const none = now.changes.length && !compared.length ? [make("li", why, { class: "quiet" })] : [];
  box.querySelector(".changes").replaceChildren(...none, ...compared.map(({ title, before }) => {
    const isShare = measure.form === "percent";
    const change = isShare ? now.now - before : before ? (now.now - before) / before : null;
    const up = now.now > before;
    const same = now.now === before;
    const better = same || measure.rising === "neither" ? "" : up === (measure.rising === "good") ? "good" : "bad";
    const sign = same ? "=" : up ? "▲" : "▼";
    const much = change === null ? "" : isShare ? ` ${some.format(Math.abs(change) * 100)} points` : ` ${share.format(Math.abs(change))}`;
    return make("li", `${sign}${much} ${same ? "as" : "on"} ${title} (${shortly(before, measure.form)})`, { class: better });
  }));
}

function tableOf({ visual, now }, most) {
  const table = make("table");
  const top = make("tr");
  now.head.forEach((h) => top.append(make("th", h.title, { scope: "col", class: isNumber(h.form) ? "n" : "" })));
  table.append(make("caption", visual.title, { class: "skip" }), make("thead"), make("tbody"));
  table.tHead.append(top);
  now.body.slice(0, most).forEach((cells, i) => {
    const row = make("tr");
    const pick = now.picks[i];
    if (pick && chosen.values.get(pick[0]) === pick[1]) row.setAttribute("aria-selected", "true");
    cells.forEach((cell, at) => {
      const { form, signed: isChange } = now.head[at];
      const text = isChange ? signed(cell, form) : written(cell, form);
      const made = make("td", undefined, { class: isNumber(form) ? "n" : form });
      if (pick && at === (now.pickAt ?? 0)) {
        const button = make("button", text, { type: "button" });
        button.addEventListener("click", () => choose(...pick));
        made.append(button);
      } else made.textContent = text;
      row.append(made);
    });
    table.tBodies[0].append(row);
  });
  return table;
}

function drawRows(drawing) {
  const place = drawing.box.querySelector(".rows");
  const isOpen = !place.closest("details") || place.closest("details").open;
  if (!isOpen || !drawing.now.body.length) { place.replaceChildren(); return; }
  place.replaceChildren(tableOf(drawing, MOST_TABLE_ROWS));
  if (drawing.now.body.length > MOST_TABLE_ROWS) place.append(make("p", `The first ${MOST_TABLE_ROWS} of ${whole.format(drawing.now.body.length)}; the CSV has all.`, { class: "quiet" }));
}

function scopeOf(visual, source) {
  const off = PAGE.choices.filter((c) => chosen.values.has(c.column) && !source.names.includes(c.column)).map((c) => c.title.toLowerCase());
  const said = off.length ? [`Not by ${off.join(", ")}: this is of all.`] : [];
  if (PAGE.dates && (visual.all_days || !dateColumn(source))) {
    if (source.asOf) said.push(`As of ${written(source.asOf, "day")}, whatever days are chosen.`);
    else said.push("Of all days, whichever are chosen.");
  }
  return said;
}

async function draw(drawing) {
  const { visual, box } = drawing;
  const source = SOURCES[visual.source];
  drawing.now = shown(visual);
  const isEmpty = !drawing.now.body.length;
  const empty = box.querySelector(".empty");
  empty.hidden = !isEmpty;
  empty.textContent = source.missing.length ? `No numbers yet: there is no ${source.missing.join(", ")}. Land files, then run the lakehouse.`
    : drawing.now.waits ? `Choose ${PAGE.waits[visual.selected_by]} first.` : visual.empty;
  const scope = box.querySelector(".scope");
  const said = [...(visual.selected_by ? [] : scopeOf(visual, source)), drawing.now.more, isEmpty ? "" : saidOfPast(visual)].filter(Boolean);
  scope.textContent = said.join(" ");
  scope.hidden = !said.length;
  box.querySelectorAll(".csv, .png").forEach((button) => { button.disabled = isEmpty; });
  if (visual.kind === "Figure") { box.querySelector(".number").hidden = isEmpty; drawFigure(drawing); }
  drawRows(drawing);
  const place = box.querySelector(".chart");
  if (place) {
    place.hidden = isEmpty;
    place.setAttribute("aria-label", isEmpty ? visual.title : summary(drawing));
    await drawChart(drawing);
  }
}

function summary({ visual, now }) {
  const lines = now.body.slice(0, 3).map((cells) => cells.map((cell, at) => written(cell, now.head[at].form)).join(", "));
  return `${visual.title}: ${now.body.length} rows, such as ${lines.join("; ")}. The details below have them all.`;
}

async function drawAll() {
  drawFilters();
  await Promise.all(drawings.map(draw));
  const figures = drawings.filter((d) => d.visual.kind === "Figure" && d.now.now !== null).slice(0, 2);
  const spanText = chosen.span ? `${lengthOf(chosen.span)} days, ${written(chosen.span.from, "day")} to ${written(chosen.span.to, "day")}` : "";
  const values = [...chosen.values.values()].map(String);
  element("status").textContent = [[spanText, ...values].filter(Boolean).join(" · "), ...figures.map((d) => `${d.visual.title} ${shortly(d.now.now, d.visual.measure.form)}`)].filter(Boolean).join(" · ");
  document.documentElement.dataset.drawnAt ??= String(Math.round(performance.now()));
  document.documentElement.dataset.drawn = String(Number(document.documentElement.dataset.drawn || 0) + 1);
}

// ---------------------------------------------------------------------------------- filters

const presets = () => [7, 28, 90, 365].filter((days) => days < PAGE.days).map((days) => [`Last ${days} days`, days]);

function lastDays(days) {
  const from = plusDays(PAGE.lastDay, 1 - days);
  return { from: from < PAGE.firstDay ? PAGE.firstDay : from, to: PAGE.lastDay };
}

function choose(column, value) {
  if (value === null || value === undefined || chosen.values.get(column) === value) chosen.values.delete(column);
  else chosen.values.set(column, value);
  drawAll();
}

function drawFilters() {
  if (chosen.span) {
    element("from").value = chosen.span.from;
    element("to").value = chosen.span.to;
    const same = [...presets().map(([, days]) => days), PAGE.days].find((days) => lastDays(days).from === chosen.span.from && chosen.span.to === PAGE.lastDay);
    element("preset").value = same ? String(same) : "";
  }
  document.querySelectorAll("select.choice").forEach((select) => {
    const value = chosen.values.get(select.dataset.column);
    select.value = value === undefined ? "" : String([...PAGE.values[select.dataset.column]].indexOf(value));
  });
  const own = new Set(PAGE.choices.map((choice) => choice.column));
  element("picks").replaceChildren(...[...chosen.values].filter(([column]) => !own.has(column)).map(([column, value]) => {
    const button = make("button", `${PAGE.titles[column]}: ${value} ×`, { type: "button", class: "pick" });
    button.addEventListener("click", () => choose(column, null));
    return button;
  }));
}

function prepareFilters() {
  PAGE.values = {};
  if (PAGE.dates && PAGE.lastDay) {
    chosen.span = lastDays(PAGE.dates.days);
    element("preset").append(...presets().map(([text, days]) => make("option", text, { value: days })), make("option", PAGE.isCut ? "All days here" : "All days", { value: PAGE.days }), make("option", "As chosen", { value: "" }));
    element("preset").addEventListener("change", (event) => {
      if (event.target.value) { chosen.span = lastDays(Number(event.target.value)); drawAll(); }
    });
    for (const id of ["from", "to"]) {
      element(id).min = PAGE.firstDay;
      element(id).max = PAGE.lastDay;
      element(id).addEventListener("change", (event) => {
        if (!event.target.value) return;
        const span = { ...chosen.span, [id]: event.target.value };
        if (span.from > span.to) span[id === "from" ? "to" : "from"] = event.target.value;
        chosen.span = span;
        drawAll();
      });
    }
  } else if (PAGE.dates) {
    ["preset", "from", "to"].forEach((id) => { element(id).disabled = true; });
  }
  document.querySelectorAll("select.choice").forEach((select) => {
    const { column } = select.dataset;
    const choice = PAGE.choices.find((c) => c.column === column);
    const found = new Set(SOURCES.filter((s) => s.names.includes(column)).flatMap((s) => s.rows.map((row) => row[column])));
    found.delete(null);
    PAGE.values[column] = ordered(found);
    select.append(make("option", choice.all, { value: "" }), ...PAGE.values[column].map((value, at) => make("option", String(value), { value: at })));
    select.addEventListener("change", () => {
      if (select.value === "") chosen.values.delete(column);
      else chosen.values.set(column, PAGE.values[column][Number(select.value)]);
      drawAll();
    });
  });
  element("reset").addEventListener("click", () => {
    chosen.values.clear();
    if (chosen.span) chosen.span = lastDays(PAGE.dates.days);
    drawAll();
  });
}

// ----------------------------------------------------------------------------------- export

function save(name, url) {
  const link = make("a", undefined, { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

// What a spreadsheet would take for a formula begins with a ' there.
function csvCell(cell) {
  if (cell === null || cell === undefined) return "";
  const text = typeof cell === "string" && /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : String(cell);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const fileName = (drawing) => `${PAGE.name} ${drawing.visual.title}`.toLowerCase().replace(/[^a-z0-9]+/g, "_");

function saveCsv(drawing) {
  const lines = [drawing.now.head.map((h) => h.title), ...drawing.now.body].map((cells) => cells.map(csvCell).join(","));
  const url = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv;charset=utf-8" }));
  save(`${fileName(drawing)}.csv`, url);
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

async function savePng(drawing) {
  drawing.view.view.background(colour("--card"));
  save(`${fileName(drawing)}.png`, await drawing.view.view.toImageURL("png", 2));
  drawing.view.view.background(null);
}

// ------------------------------------------------------------------------------------ begin

function showTheme() {
  element("theme").textContent = theme() === "dark" ? "Light" : "Dark";
  element("theme").setAttribute("aria-pressed", String(theme() === "dark"));
}

element("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
  showTheme();
  drawAll();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { showTheme(); drawAll(); });
element("print").addEventListener("click", () => window.print());
drawings.forEach((drawing) => {
  drawing.box.querySelector(".csv").addEventListener("click", () => saveCsv(drawing));
  const png = drawing.box.querySelector(".png");
  if (png) png.addEventListener("click", () => savePng(drawing));
  drawing.box.querySelector("details").addEventListener("toggle", () => drawRows(drawing));
});
prepareFilters();
showTheme();
drawAll();
