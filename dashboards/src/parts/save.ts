/** Has the browser save a text as a file. The name must name nobody. */

const TYPES = { json: 'application/json', csv: 'text/csv;charset=utf-8', html: 'text/html;charset=utf-8' } as const;

export type FileFormat = keyof typeof TYPES;

export function saveFile(name: string, format: FileFormat, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: TYPES[format] }));
  const link = document.createElement('a');
  link.href = address;
  link.download = `${name}.${format}`;
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has begun to read it by the next turn of its loop, whenever that is.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
