/** The few icons, drawn on a grid of 16; decoration, so hidden from screen readers. */

const PATHS = {
  down: 'M4 6.2 8 10l4-3.8',
  left: 'M9.8 4 6 8l3.8 4',
  right: 'M6.2 4 10 8l-3.8 4',
  close: 'm4.5 4.5 7 7m0-7-7 7',
  check: 'm3.5 8.5 3 3 6-7',
  more: 'M3 4.5h10M3 8h10M3 11.5h10',
  up: 'M8 12.5v-9m-3.5 3.5L8 3.5 11.5 7',
  fall: 'M8 3.5v9m3.5-3.5L8 12.5 4.5 9',
  list: 'M3 8h10m0 0L9.5 4.5M13 8l-3.5 3.5',
  copy: 'M5.5 5.5v-2h7v7h-2m-7-5h7v7h-7z',
  plus: 'M8 3v10M3 8h10',
  segment: 'M2.5 3.5h11L9.5 8.4v4.1l-3 1V8.4z',
  note: 'M3.5 3.5h9v6.2L9.2 13H3.5zM9 13V9.5h3.5',
  lock: 'M4.5 7.5h7v5.5h-7zM6 7.5V5.4a2 2 0 0 1 4 0v2.1',
  refresh: 'M12.8 8A4.8 4.8 0 1 1 11 4.2M13 2.5v3h-3',
  filter: 'M2.5 4h11M5 8h6m-3.8 4h1.6',
  save: 'M8 3v7m-3-3 3 3 3-3M3.5 13h9',
  flag: 'M4.5 13.5v-11h7l-1.8 2.8 1.8 2.8h-7',
  back: 'M6.5 4.5 3 8l3.5 3.5M3.5 8H13',
  guard: 'M5 7.5v-2a3 3 0 0 1 6 0v2m-7 0h8v5.5H4z',
} as const;

export function Icon({ name }: { readonly name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <path d="M8 23V11.5l8 7.5 8-9.5V23" />
    </svg>
  );
}
