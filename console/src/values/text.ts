/** Texts of others, made safe to read: control and direction characters are shown, not obeyed. */

const HIDDEN = /\p{Cc}|\p{Cf}/gu;
const SHOWN = new Set(["\n", "\t"]);

export function shownText(text: string): string {
  return text.replace(HIDDEN, (sign) => {
    if (SHOWN.has(sign)) return sign;
    const code = sign.codePointAt(0) ?? 0;
    return code < 0x20
      ? String.fromCodePoint(0x2400 + code)
      : `⟨U+${code.toString(16).toUpperCase()}⟩`;
  });
}
