// What the tables need in the browser: how values are written, links in cells, columns chosen, rows asked anew.
(function () {
  "use strict";
  const functions = window.dashAgGridFunctions = window.dashAgGridFunctions || {};
  const components = window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
  const clientside = window.dash_clientside = window.dash_clientside || {};
  const UNKNOWN = "–";

  functions.number = (value, digits) =>
    value === null || value === undefined ? UNKNOWN : String(Number(value.toPrecision(digits)));
  functions.whole = (value) => (value === null || value === undefined ? UNKNOWN : value.toLocaleString("en"));
  functions.percent = (value) => (value === null || value === undefined ? UNKNOWN : (value * 100).toFixed(2));
  functions.moment = (value) => (value ? value.slice(0, 16).replace("T", " ") : UNKNOWN);
  functions.text = (value) => (value === null || value === undefined || value === "" ? UNKNOWN : value);

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

  clientside.grid = {
    // Show the chosen columns.
    choose(chosen, columns) {
      if (!columns) return clientside.no_update;
      return columns.map((column) => ({ ...column, hide: !chosen.includes(column.field) }));
    },

    // A control changed: what was fetched is no longer what is asked.
    refresh() {
      const id = clientside.callback_context.outputs_list.id.replace(/-stale$/, "");
      window.dash_ag_grid.getApiAsync(id).then((api) => api.purgeInfiniteCache());
      return Date.now();
    },
  };
})();
