
"use strict";
// Filters events by all words that are typed; the words of an event are its name, title, text and properties.
const search = document.getElementById("search");
const found = document.getElementById("found");
const none = document.getElementById("none");
const articles = [...document.querySelectorAll("article")];
const streams = [...document.querySelectorAll("main > section, nav > section")];

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = new Set();
  for (const article of articles) {
    const text = article.dataset.words.toLowerCase();
    article.hidden = !words.every((word) => text.includes(word));
    if (!article.hidden) shown.add(article.dataset.event);
  }
  for (const item of document.querySelectorAll("nav li")) item.hidden = !shown.has(item.dataset.event);
  for (const stream of streams) {
    stream.hidden = ![...stream.querySelectorAll("[data-event]")].some((each) => !each.hidden);
  }
  found.textContent = words.length ? `${shown.size} of ${articles.length} events` : "";
  none.hidden = shown.size > 0;
}

search.addEventListener("input", filter);
filter();
