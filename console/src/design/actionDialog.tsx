import { type ReactNode, useState } from "react";
import { newKey } from "@/api/client";
import { say } from "@/model/messages";
import { Button, Dialog, DialogActions, TextField } from "./primitives";
import { Problem } from "./problem";

interface FormProps {
  /** The button that acts; without it there is only the way back. */
  label: string | undefined;
  danger?: boolean | undefined;
  disabled?: boolean | undefined;
  /** The label while the action runs. */
  busyLabel?: string;
  back?: string | undefined;
  /** The title of an error of `act`. */
  failed?: string;
  /** Another button beside that of the action. */
  beside?: ReactNode;
  /** Whether Enter in a field acts too. */
  byEnter?: boolean;
  close: () => void;
  /** Sends the call; the key makes a repeated one change nothing further. */
  act: (key: string) => Promise<void> | void;
  children?: ReactNode;
}

/** Fields, the error of the action, and its buttons; stays open if the server refuses. */
export function ActionForm({ close, act, children, ...props }: FormProps) {
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await act(key);
    } catch (raised) {
      setError(raised);
    } finally {
      setBusy(false);
    }
  };
  const content = (
    <>
      {children}
      {error !== undefined && <Problem error={error} title={props.failed} />}
      <DialogActions>
        <Button onClick={close}>{props.back ?? say("action.back")}</Button>
        {props.beside}
        {props.label !== undefined && (
          <Button
            type={props.byEnter ? "submit" : "button"}
            kind={props.danger ? "danger" : "primary"}
            disabled={busy || props.disabled}
            onClick={props.byEnter ? undefined : () => void run()}
          >
            {(busy && props.busyLabel) || props.label}
          </Button>
        )}
      </DialogActions>
    </>
  );
  if (!props.byEnter) return content;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy && !props.disabled) void run();
      }}
    >
      {content}
    </form>
  );
}

interface DialogProps extends FormProps {
  title: string;
  wide?: boolean;
}

/** A dialog that asks before it acts. */
export function ActionDialog({ title, wide, ...form }: DialogProps) {
  return (
    <Dialog title={title} open wide={wide} onClose={form.close}>
      <ActionForm {...form} />
    </Dialog>
  );
}

interface ReasonProps {
  /** Where the reason is recorded. */
  hint?: string;
  /** Whether the action can be done without one. */
  optional?: boolean;
  value: string;
  change: (value: string) => void;
}

export function ReasonField({ hint, optional = false, ...props }: ReasonProps) {
  const text = [!optional && say("action.needed"), hint].filter(Boolean).join(" ");
  return (
    <TextField
      label={say("action.reason")}
      hint={text}
      required={!optional}
      maxLength={1_024}
      {...props}
    />
  );
}
