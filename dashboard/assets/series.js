// Zooming in the figure of a time series: the window goes into the fields From and To, which ask the server for it.
(function () {
  "use strict";
  const clientside = window.dash_clientside = window.dash_clientside || {};

  // As many digits as the window can show; a moment to the millisecond, as the fields want it.
  function written(value, width) {
    if (typeof value === "string") return value.slice(0, 23);
    const digits = Math.max(0, Math.ceil(5 - Math.log10(Math.abs(width) || 1)));
    return String(Number(value.toFixed(Math.min(digits, 12))));
  }

  clientside.series = {
    zoom(changed, _whole, _axis, from, to) {
      const keep = [clientside.no_update, clientside.no_update];
      const [why] = clientside.callback_context.triggered;
      if (!why) return keep;
      if (!why.prop_id.endsWith("relayoutData")) return from || to ? ["", ""] : keep;
      const keys = Object.keys(changed || {});
      if (keys.some((key) => /^xaxis\d*\.autorange$/.test(key))) return from || to ? ["", ""] : keep;
      const name = keys.map((key) => key.match(/^(xaxis\d*)\.range/)).find(Boolean)?.[1];
      if (!name) return keep;
      const range = changed[`${name}.range`] || [changed[`${name}.range[0]`], changed[`${name}.range[1]`]];
      if (range[0] === undefined || range[1] === undefined) return keep;
      const width = typeof range[0] === "number" ? range[1] - range[0] : 0;
      return range.map((each) => written(each, width));
    },
  };
})();
