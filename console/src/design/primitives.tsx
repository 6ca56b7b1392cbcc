/** Building blocks of all pages. */

import { Check, ChevronRight, Copy } from "lucide-react";
import {
  type ButtonHTMLAttributes,
  type InputHTMLAttributes,
  type ReactNode,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { usePreference } from "@/app/preferences";
import { clockTime, duration, relative } from "@/model/durations";
import styles from "./primitives.module.css";
import { useNow } from "./useNow";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "plain" | "primary" | "danger" | "quiet";
  icon?: ReactNode;
  small?: boolean;
}

export function Button({ kind = "plain", icon, small, children, className, ...rest }: ButtonProps) {
  const names = [styles.button, styles[kind], small ? styles.small : "", className ?? ""];
  return (
    <button type="button" className={names.join(" ")} {...rest}>
      {icon}
      {children}
    </button>
  );
}

interface IconButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  label: string;
}

export function IconButton({ label, children, className, ...rest }: IconButtonProps) {
  const names = `${styles.button} ${styles.iconOnly} ${className ?? ""}`;
  return (
    <button type="button" className={names} aria-label={label} title={label} {...rest}>
      {children}
    </button>
  );
}

interface DialogProps {
  title: string;
  open: boolean;
  onClose: () => void;
  wide?: boolean;
  children: ReactNode;
}

/** A modal dialog: the browser keeps the focus inside and closes it with Escape. */
export function Dialog({ title, open, onClose, wide, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const name = useId();
  useEffect(() => {
    const dialog = element.current;
    if (open && dialog && !dialog.open) dialog.showModal();
    if (!open && dialog?.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={element}
      className={`${styles.dialog} ${wide ? styles.wide : ""}`}
      aria-labelledby={name}
      onClose={onClose}
    >
      {open && (
        <>
          <h2 id={name} className={styles.dialogTitle}>
            {title}
          </h2>
          {children}
        </>
      )}
    </dialog>
  );
}

export function DialogActions({ children }: { children: ReactNode }) {
  return <div className={styles.dialogActions}>{children}</div>;
}

export interface FieldProps {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  children: (ids: { id: string; describedBy: string }) => ReactNode;
}

/** A labelled control with its hint and its error. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const describedBy = `${id}-text`;
  return (
    <div className={styles.field}>
      <label htmlFor={id}>{label}</label>
      {children({ id, describedBy })}
      <p
        id={describedBy}
        className={error ? styles.fieldError : styles.fieldHint}
        role={error ? "alert" : undefined}
      >
        {error ?? hint}
      </p>
    </div>
  );
}

interface TextFieldProps
  extends Omit<FieldProps, "children">,
    InputHTMLAttributes<HTMLInputElement> {
  change: (value: string) => void;
}

/** A labelled line of text. */
export function TextField({ label, hint, error, change, ...rest }: TextFieldProps) {
  return (
    <Field label={label} hint={hint} error={error}>
      {({ id, describedBy }) => (
        <input
          id={id}
          aria-describedby={describedBy}
          onChange={(event) => change(event.target.value)}
          {...rest}
        />
      )}
    </Field>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={styles.empty}>
      <p className={styles.emptyTitle}>{title}</p>
      {children && <div className={styles.emptyText}>{children}</div>}
    </div>
  );
}

/** The shape of rows that are being loaded. */
export function Skeleton({ rows = 8 }: { rows?: number }) {
  return (
    <div className={styles.skeleton} role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are alike
        <div key={index} />
      ))}
    </div>
  );
}

/** A time as its distance from now, exact on demand. */
export function Time({ at }: { at: string | undefined }) {
  const zone = usePreference("zone");
  const now = useNow(at !== undefined);
  if (!at) return <span className="muted">–</span>;
  const when = Date.parse(at);
  return (
    <time dateTime={at} title={clockTime(when, zone, true)} className="numbers">
      {relative(when, now)}
    </time>
  );
}

/** The time from a start to an end, or up to now. */
export function Elapsed({ from, to }: { from: string | undefined; to: string | undefined }) {
  const now = useNow(from !== undefined && to === undefined);
  if (!from) return <span className="muted">–</span>;
  const ms = (to ? Date.parse(to) : now) - Date.parse(from);
  return <span className="numbers">{duration(ms)}</span>;
}

const COPIED_MS = 1_200;

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return (
    <IconButton label={copied ? "Copied" : label} onClick={copy} className={styles.copy}>
      {copied ? <Check size={13} /> : <Copy size={13} />}
    </IconButton>
  );
}

/** A title that shows more; what has not been shown yet is not drawn either. */
export function Fold({
  title,
  children,
  open,
}: {
  title: ReactNode;
  children: ReactNode;
  open?: boolean;
}) {
  const [seen, setSeen] = useState(open);
  return (
    <details
      className={styles.fold}
      open={open}
      onToggle={(event) => event.currentTarget.open && setSeen(true)}
    >
      <summary>
        <ChevronRight size={13} aria-hidden />
        {title}
      </summary>
      {(seen || open) && children}
    </details>
  );
}

export function Keys({ keys }: { keys: string }) {
  return (
    <span className={styles.keys}>
      {keys.split(" ").map((key) => (
        <kbd key={key}>{key}</kbd>
      ))}
    </span>
  );
}
