/** Calls that each level has at a path of its own. */

import { read, write } from "@/api/client";
import type { CreatedInvitation, InviteRequest, MemberList } from "@/api/schema";
import type { Place, RoleName } from "@/model/access";

interface Paging {
  pageSize: number;
  pageToken: string;
}

export function membersAt(
  { level, id }: Place,
  query: Paging,
  signal: AbortSignal,
): Promise<MemberList> {
  if (level === "company")
    return read("/api/v1/companies/{companyId}/members", {
      path: { companyId: id },
      query,
      signal,
    });
  if (level === "organization")
    return read("/api/v1/organizations/{organizationId}/members", {
      path: { organizationId: id },
      query,
      signal,
    });
  return read("/api/v1/projects/{projectId}/members", { path: { projectId: id }, query, signal });
}

/** Give a user a role on a place; without a role, take it. */
export async function setRole(
  { level, id }: Pick<Place, "level" | "id">,
  userId: string,
  role: RoleName | undefined,
  key: string,
): Promise<void> {
  const path = { companyId: id, organizationId: id, projectId: id, userId };
  const given = { path, key, ...(role && { body: { role } }) };
  const method = role ? "PUT" : "DELETE";
  if (level === "company")
    await write(`${method} /api/v1/companies/{companyId}/members/{userId}`, given);
  else if (level === "organization")
    await write(`${method} /api/v1/organizations/{organizationId}/members/{userId}`, given);
  else await write(`${method} /api/v1/projects/{projectId}/members/{userId}`, given);
}

export function invitationsAt(
  { level, id }: Place,
  body: InviteRequest,
  key: string,
): Promise<CreatedInvitation> {
  const path = { companyId: id, organizationId: id, projectId: id };
  if (level === "company")
    return write("POST /api/v1/companies/{companyId}/invitations", { path, body, key });
  if (level === "organization")
    return write("POST /api/v1/organizations/{organizationId}/invitations", { path, body, key });
  return write("POST /api/v1/projects/{projectId}/invitations", { path, body, key });
}
