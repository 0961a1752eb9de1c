/** Offers an address for saving. It must be called from a tap. */
export function saveURL(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName(name);
  document.body.append(link);
  link.click();
  link.remove();
}

/** Offers bytes that are here already for saving. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  saveURL(url, name);
  // The browser reads the blob after the click; how long after, it does not say.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A name that every file system takes. */
export function fileName(name: string): string {
  return name.replace(/[\u0000-\u001f\u007f<>:"/\\|?*]/g, '-').replace(/^[. ]+|[. ]+$/g, '').slice(0, 200) || 'scan';
}
