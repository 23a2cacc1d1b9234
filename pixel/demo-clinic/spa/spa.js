// A small single-page section: links change the address and the panel, the page stays.
const BASE = '/demo/spa/';
const SECTIONS = {
  '': ['Начало', 'Что вас беспокоит? Выберите раздел сверху, и мы покажем подходящие процедуры.', []],
  lico: ['Лицо', 'Для лица чаще всего выбирают чистку и пилинг.', ['Чистка лица', 'Пилинги', 'Биоревитализация']],
  telo: ['Тело', 'Для тела подойдут лазер и массаж.', ['Лазерная эпиляция', 'Лимфодренажный массаж']],
  ruki: ['Руки', 'Кожа рук любит тепло и питание.', ['Парафинотерапия', 'Маски для рук']],
};

const panel = document.getElementById('section');

function element(name, text, className) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function draw() {
  const key = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : '';
  const [title, text, procedures] = SECTIONS[key] ?? SECTIONS[''];
  const list = element('ul');
  for (const procedure of procedures) list.append(element('li', procedure));
  panel.replaceChildren(element('h2', title), element('p', text), list);
  if (key === 'lico') {
    const banner = element('aside', '', 'banner warm');
    banner.dataset.metkaAd = 'banner-3';
    const words = element('div');
    words.append(element('small', 'Реклама'), element('h2', 'Пилинг и маска'), element('p', 'Две процедуры за один визит.'));
    const link = element('a', 'Подробнее', 'button light');
    link.href = '/demo/ceny';
    banner.append(words, link);
    panel.append(banner);
  }
  for (const link of document.querySelectorAll('#sections a'))
    link.toggleAttribute('aria-current', link.pathname === location.pathname);
  document.title = (key ? title + ' — ' : '') + 'Подбор процедуры — Клиника «Пример»';
}

document.getElementById('sections').addEventListener('click', event => {
  const link = event.target.closest('a');
  if (!link) return;
  event.preventDefault();
  if (link.pathname !== location.pathname) {
    history.pushState(null, '', link.href);
    draw();
  }
});
addEventListener('popstate', draw);
draw();
