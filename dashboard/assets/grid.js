// What the tables need in the browser: how values are written, links in cells, columns chosen, rows asked anew.
(function () {
  "use strict";
  const functions = window.dashAgGridFunctions = window.dashAgGridFunctions || {};
  const components = window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
  const clientside = window.dash_clientside = window.dash_clientside || {};
  const UNKNOWN = "–";

  functions.number = (value, digits) =>
    value === null || value === undefined ? UNKNOWN :
      typeof value === "number" ? String(Number(value.toPrecision(digits))) : value; // just typed, not stored yet
  functions.whole = (value) => (value === null || value === undefined ? UNKNOWN : value.toLocaleString("en"));
  functions.percent = (value) => (value === null || value === undefined ? UNKNOWN : (value * 100).toFixed(2));
  functions.moment = (value) => (value ? value.slice(0, 16).replace("T", " ") : UNKNOWN);
  functions.text = (value) => (value === null || value === undefined || value === "" ? UNKNOWN : value);

  // Words of a list, as they are typed and taken apart.
  functions.words = (list) => (list || []).join(", ");
  functions.taken = (text) => (text || "").split(",").map((word) => word.trim()).filter(Boolean);
  functions.isEditing = (id) => boxOf(id)?.classList.contains("editing") === true;

  const boxOf = (id) => document.getElementById(`${id}-box`);

  const element = (...args) => window.React.createElement(...args);

  // A link to what a row is about; ``path`` ends where the row's own ``field`` belongs.
  components.Link = (cell) => {
    if (!cell.data || cell.value === null || cell.value === undefined || cell.value === "") return cell.data ? UNKNOWN : "";
    const key = cell.data[cell.field];
    if (key === null || key === undefined) return String(cell.value);
    return element("a", { href: cell.path + encodeURIComponent(key), "data-link": "" }, String(cell.value));
  };

  components.Tags = (cell) =>
    element("span", { className: "badges" },
      ...(cell.value || []).map((word) => element("span", { key: word, className: `tag tone-${cell.tone}` }, word)));

  // A reason, below the cell that it is about, until its reader does something else.
  function explain(id, rowId, field, problem) {
    const box = boxOf(id);
    const cell = box.querySelector(`.ag-row[row-id="${CSS.escape(rowId)}"] .ag-cell[col-id="${CSS.escape(field)}"]`);
    const said = Object.assign(document.createElement("div"), { className: "cell-said", textContent: problem });
    said.setAttribute("role", "alert");
    box.querySelector(".cell-said")?.remove();
    const within = box.getBoundingClientRect();
    const at = cell ? cell.getBoundingClientRect() : within;
    said.style.top = `${(cell ? at.bottom : at.top + 40) - within.top}px`;
    said.style.left = `${Math.max(0, Math.min(at.left - within.left, within.width - 320))}px`;
    box.append(said);
    const leave = () => {
      said.remove();
      for (const kind of ["pointerdown", "keydown", "wheel"]) document.removeEventListener(kind, leave, true);
    };
    for (const kind of ["pointerdown", "keydown", "wheel"]) document.addEventListener(kind, leave, true);
  }

  clientside.grid = {
    // Show the chosen columns, and say which for the address, unless they are the usual ones.
    choose(chosen, columns, usual) {
      if (!columns) return [clientside.no_update, clientside.no_update];
      const shown = columns.map((column) => column.field).filter((field) => chosen.includes(field));
      const text = shown.join() === usual.join() ? "" : shown.join();
      const same = columns.every((column) => Boolean(column.hide) !== shown.includes(column.field));
      const defined = columns.map((column) => ({ ...column, hide: !shown.includes(column.field) }));
      return [same ? clientside.no_update : defined, text];
    },

    // Say for the address by what the rows are sorted.
    sorted(request, before) {
      const [first] = request?.sortModel || [];
      const now = first ? (first.sort === "desc" ? "-" : "") + first.colId : "";
      return now === (before || "") ? clientside.no_update : now;
    },

    edit(isOn) {
      return isOn ? "grid-box editing" : "grid-box";
    },

    // Cells that were edited: what is stored takes the place of what was typed, and what was refused says why.
    stored(answers) {
      const id = clientside.callback_context.outputs_list.id.replace(/-stale$/, "");
      window.dash_ag_grid.getApiAsync(id).then((api) => {
        for (const { id: rowId, field, seen, row, problem } of answers || []) {
          const node = api.getRowNode(rowId);
          if (node) node.setData(row || { ...node.data, [field]: seen });
          if (problem) explain(id, rowId, field, problem);
        }
      });
      return clientside.no_update;
    },

    // A control changed: what was fetched is no longer what is asked, and what was selected may be out of sight.
    refresh() {
      const id = clientside.callback_context.outputs_list.id.replace(/-stale$/, "");
      window.dash_ag_grid.getApiAsync(id).then((api) => {
        api.deselectAll();
        api.purgeInfiniteCache();
      });
      return Date.now();
    },
  };
})();
