// The table of moments, and the words about the one that is looked at.
const number = value => value.toLocaleString("en");
const percent = share => share >= 0.995 ? "> 99%" : Math.round(100 * share) + "%";

// Text is set as text: names are of the user, and never HTML.
function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function fillMoments(body, choose) {
  data.moments.forEach((moment, i) => {
    const row = element("tr", "");
    const several = data.videos.length > 1 ? data.videos[moment.video].name + ": " : "";
    const cell = element("td", "");
    const frame = number(moment.frame);
    if (moment.held) {
      cell.append(element("button", frame, { type: "button" }));
      row.addEventListener("click", () => choose(i));
    } else {
      cell.textContent = frame;
      row.className = "away";
      row.title = "This frame is not in the page";
    }
    row.append(element("td", i + 1), cell, element("td", percent(moment.probability)),
      element("td", several + moment.reason));
    body.append(row);
  });
}

function markMoment(body, panel, chosen) {
  const moment = data.moments[chosen];
  [...body.rows].forEach((row, i) => {
    if (i === chosen) row.setAttribute("aria-current", "true"); else row.removeAttribute("aria-current");
  });
  panel.replaceChildren();
  if (!moment) {
    panel.append(element("b", "The most doubtful first"),
      element("p", "A row of the table leads to its moment."));
    return;
  }
  const list = body.closest(".list"), row = body.rows[chosen];
  const above = row.offsetTop - list.querySelector("thead").offsetHeight;
  if (above < list.scrollTop) list.scrollTop = above;
  const below = row.offsetTop + row.offsetHeight - list.clientHeight;
  if (below > list.scrollTop) list.scrollTop = below;
  const span = moment.first === moment.last ? `frame ${number(moment.frame)}`
    : `frames ${number(moment.first)} to ${number(moment.last)}`;
  panel.append(
    element("b", `${chosen + 1} of ${number(data.found)}`),
    ` · ${span} · ${percent(moment.probability)} chance that something is wrong`,
    element("p", moment.reason));
}
