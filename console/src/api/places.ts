/** The companies, organizations and projects that the reader sees. */

import { useQuery } from "@tanstack/react-query";
import { read } from "@/api/client";
import type { CompanyValue } from "@/api/schema";
import { sessionQuery } from "@/app/session";
import type { Granted, Place } from "@/model/access";

const PAGE_SIZE = 100;
/** More of one kind than anyone chooses from a list. */
const PAGES_MAX = 10;

interface Page {
  nextPageToken: string;
}

/** All entries of a list that comes in pages, up to a thousand. */
async function every<P extends Page, T>(
  page: (query: { pageSize: number; pageToken: string }) => Promise<P>,
  entries: (page: P) => readonly T[],
): Promise<T[]> {
  const found: T[] = [];
  let pageToken = "";
  for (let number = 0; number < PAGES_MAX; number += 1) {
    const answer = await page({ pageSize: PAGE_SIZE, pageToken });
    found.push(...entries(answer));
    pageToken = answer.nextPageToken;
    if (!pageToken) break;
  }
  return found;
}

/** The roles of the reader; none in an open installation. */
export function useOwnRoles(): readonly Granted[] {
  return useQuery(sessionQuery).data?.me?.user?.roles ?? [];
}

export function useCompanies(enabled: boolean) {
  return useQuery({
    queryKey: ["access", "companies"],
    enabled,
    queryFn: ({ signal }) =>
      every(
        (query) => read("/api/v1/companies", { query, signal }),
        (page) => page.companies,
      ),
  });
}

/** A company and what is below it, each with its path. */
export function usePlaces(company: CompanyValue | undefined) {
  return useQuery({
    queryKey: ["access", "places", company?.id],
    enabled: !!company,
    queryFn: ({ signal }) => (company ? placesOf(company, signal) : []),
  });
}

async function placesOf(company: CompanyValue, signal: AbortSignal): Promise<Place[]> {
  const path = { companyId: company.id };
  const places: Place[] = [{ level: "company", id: company.id, path: company.slug, above: [] }];
  const organizations = await every(
    (query) => read("/api/v1/companies/{companyId}/organizations", { path, query, signal }),
    (page) => page.organizations,
  );
  for (const { id, slug } of organizations) {
    const own = `${company.slug} / ${slug}`;
    places.push({ level: "organization", id, path: own, above: [company.id] });
    const projects = await every(
      (query) =>
        read("/api/v1/organizations/{organizationId}/projects", {
          path: { organizationId: id },
          query,
          signal,
        }),
      (page) => page.projects,
    );
    const above = [company.id, id];
    for (const each of projects)
      places.push({
        level: "project",
        id: each.id,
        path: `${own} / ${each.slug}`,
        above,
        namespace: each.namespace,
      });
  }
  return places;
}

/** The projects of all companies that the reader sees. */
export function useProjects() {
  return useQuery({
    queryKey: ["access", "projects"],
    queryFn: async ({ signal }) => {
      const companies = await every(
        (query) => read("/api/v1/companies", { query, signal }),
        (page) => page.companies,
      );
      const places = await Promise.all(companies.map((each) => placesOf(each, signal)));
      return places.flat().filter(({ level }) => level === "project");
    },
  });
}
