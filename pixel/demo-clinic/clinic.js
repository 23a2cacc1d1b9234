// The clinic's own script: the booking form. What Metka needs stands in the pages.
const form = document.getElementById('booking');
form?.addEventListener('submit', event => {
  event.preventDefault();
  const fields = new FormData(form);
  // Only what the statistics may know: never the name or the telephone number.
  window.metka?.('zapis', { props: { usluga: fields.get('usluga'), vrach: fields.get('vrach') } });
  document.getElementById('booked').hidden = false;
});
