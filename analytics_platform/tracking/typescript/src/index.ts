/**
 * The typed way to send the plan's events with `@segment/analytics-next`, which the application brings along.
 *
 * Event types are generated (`events.ts`); what stands here is the little that a type cannot do: fill in the
 * properties that are the same for every event of a session, and point the client at our collector.
 */
import type { Analytics, AnalyticsBrowserSettings, InitOptions } from "@segment/analytics-next";
import { SCHEMA_VERSIONS, type TrackEvent } from "./events.js";

export * from "./events.js";

/** The name of an event of the plan. */
export type EventName = TrackEvent["event"];

/** All properties of an event, as the collector judges them. */
export type PropertiesOf<N extends EventName> = Extract<TrackEvent, { event: N }>["properties"];

/** What is the same for every event of a session. */
export interface TrackingContext {
  tenant_id: string;
  project_id?: string;
}

type Filled = "schema_version" | "tenant_id" | "project_id";

/** The properties that a caller of `track` writes; those that the context fills may be given, and then win. */
export type GivenProperties<N extends EventName> = Omit<PropertiesOf<N>, Filled> & Partial<Pick<PropertiesOf<N>, Filled>>;

/** The part of the Segment client that is used. */
export type SegmentClient = Pick<Analytics, "track" | "page" | "identify">;

type Sent = ReturnType<SegmentClient["track"]>;

/** A Segment client that sends events of the plan only. */
export interface Tracker {
  /** Send an event of the plan. */
  track<N extends EventName>(event: N, properties: GivenProperties<N>): Sent;
  /** Segment's own page call, as it is. */
  page: SegmentClient["page"];
  /** Segment's own identify call, as it is; traits are personal data. */
  identify: SegmentClient["identify"];
}

/** Wrap a Segment client. The context's tenant must be that of the write key, or the collector refuses the events. */
export function createTracker(client: SegmentClient, context: TrackingContext): Tracker {
  return {
    track: (event, properties) =>
      client.track(event, { schema_version: SCHEMA_VERSIONS[event], ...context, ...properties }),
    page: (...args) => client.page(...args),
    identify: (...args) => client.identify(...args),
  };
}

/** Where the collector is, and the key to send with. */
export interface CollectorAddress {
  /** The collector's URL, such as `https://events.example.com`. */
  url: string;
  writeKey: string;
}

/**
 * The arguments of `AnalyticsBrowser.load` that send to our collector and call no other host.
 *
 * The client fetches its settings from a CDN unless it is given them: that is what `cdnSettings` is for.
 *
 * @example const [analytics] = await AnalyticsBrowser.load(...collectorSettings({ url, writeKey }));
 */
export function collectorSettings(address: CollectorAddress): [AnalyticsBrowserSettings, InitOptions] {
  const { host, pathname, protocol } = new URL(address.url);
  if (protocol !== "http:" && protocol !== "https:") {
    throw new TypeError(`url: ${address.url} is neither http nor https; give the collector's URL`);
  }
  const apiHost = `${host}${pathname.replace(/\/+$/, "")}/v1`;
  const segment = { apiHost, protocol: protocol === "http:" ? "http" : "https" } as const;
  return [
    { writeKey: address.writeKey, cdnSettings: { integrations: { "Segment.io": { apiKey: address.writeKey } } } },
    { integrations: { "Segment.io": segment } },
  ];
}
