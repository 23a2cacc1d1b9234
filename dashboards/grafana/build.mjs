// Writes metka.json, Grafana's model of the dashboard, from visits.sql and the list of panels below.
//
//   node build.mjs          writes it
//   node build.mjs --check  exit 1 where it is not as this would write it
//
// Each panel holds whole statements, since Grafana knows no common part. So what they share stands once, in visits.sql,
// and a panel here is its grouping and its place. The names of columns are those of the stats API.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PLUGIN = 'grafana-clickhouse-datasource';
const FILE = join(import.meta.dirname, 'metka.json');
const VISITS = readFileSync(join(import.meta.dirname, 'visits.sql'), 'utf8').trimEnd();
/** The longest list of a panel. */
const ROWS = 100;
/** What the plugin makes of an answer. */
const FORMAT = { timeseries: 0, table: 1 };
const SOURCE = { type: PLUGIN, uid: '${datasource}' };
const TITLES = {
  visitors: 'Visitors',
  visits: 'Visits',
  pageviews: 'Page views',
  views_per_visit: 'Views per visit',
  bounce_rate: 'Bounce rate',
  visit_duration: 'Visit duration',
  events: 'Page views and events',
  ad_views: 'Rendered',
  ad_viewable: 'Seen',
  ad_clicks: 'Clicked',
  ad_ctr: 'Click rate',
};
const UNITS = { bounce_rate: 'percent', ad_ctr: 'percent', visit_duration: 's' };

// === Statements ===

/** `visits.sql` with these stored columns travelling along. */
const visits = columns =>
  VISITS.replace('{{columns}}', columns.map(name => `, ${name}`).join(''))
    .replace('{{values}}', columns.map(name => `, ${name}`).join(''))
    .replace('{{types}}', columns.map(name => `, ${name} String`).join(''));

/** The numbers of groups of visits: one row of the inner statement is one visit in one group. */
const NUMBERS = {
  visitors: 'uniqExact(person)',
  visits: 'count()',
  pageviews: 'sum(views)',
  views_per_visit: 'if(count() = 0, NULL, round(sum(views) / count(), 2))',
  bounce_rate: 'if(countIf(entered) = 0, NULL, round(100 * countIf(entered AND bounced) / countIf(entered)))',
  visit_duration: 'if(countIf(entered) = 0, NULL, round(sumIf(lasted_ms, entered) / countIf(entered) / 1000))',
  events: 'sum(happened)',
};

/** `group` is the name and the SQL of what visits are grouped by, `entered` says which visits the averages are about. */
function ofVisits({ metrics, columns = [], group, entered = 'true', order, limit }) {
  const [name, sql] = group ?? [];
  const numbers = metrics.map(metric => `    ${NUMBERS[metric]} AS ${metric}`).join(',\n');
  return `${visits(columns)}
SELECT
${name ? `    ${name},\n` : ''}${numbers}
FROM (
    SELECT
        person, n,${name ? ` ${sql} AS ${name},` : ''}
        countIf(x.kind = 1) AS views, count() AS happened,
        any(bounce) AS bounced, any(duration_ms) AS lasted_ms, max(${entered}) AS entered
    FROM shown
    WHERE x.kind <= 2
    GROUP BY person, n${name ? `, ${name}` : ''}
)${name ? `\nGROUP BY ${name}\nORDER BY ${order ?? `${metrics[0]} DESC, ${name} ASC`}` : ''}${limit ? `\nLIMIT ${limit}` : ''}`;
}

const ADS = `${visits(['ad'])}
SELECT
    x.ad AS ad,
    countIf(x.kind = 3) AS ad_views,
    countIf(x.kind = 4) AS ad_viewable,
    countIf(x.kind = 5) AS ad_clicks,
    if(ad_views = 0, NULL, round(100 * ad_clicks / ad_views, 2)) AS ad_ctr,
    uniqExact(person) AS visitors
FROM shown
WHERE x.kind IN (3, 4, 5)
GROUP BY ad
ORDER BY ad_views DESC, ad ASC
LIMIT ${ROWS}`;

// Needs no persons, so it reads each hit once.
const PER_MINUTE = `WITH nobody AS (SELECT subject FROM \${database}.blocked WHERE site = \${site:singlequote})
SELECT
    $__timeInterval(second) AS time,
    countIf(kind IN ('pageview', 'event')) * 60 / $__interval_s AS events,
    countIf(kind = 'ad_view') * 60 / $__interval_s AS ad_views,
    countIf(kind = 'ad_viewable') * 60 / $__interval_s AS ad_viewable,
    countIf(kind = 'ad_click') * 60 / $__interval_s AS ad_clicks
FROM (
    SELECT kind, toDateTime(time) AS second FROM \${database}.hits
    WHERE site = \${site:singlequote} AND bot = ''
      AND time >= $__fromTime AND time < $__toTime + INTERVAL 1 SECOND
      AND visitor NOT IN nobody AND minted NOT IN nobody AND before NOT IN nobody AND user_key NOT IN nobody
)
WHERE kind IN ('pageview', 'event', 'ad_view', 'ad_viewable', 'ad_click')
GROUP BY time
ORDER BY time`;

const REFUSALS = `SELECT
    reason,
    sumIf(count, site = \${site:singlequote}) AS refused,
    sumIf(count, site = '') AS of_no_known_site
FROM \${database}.refusals
WHERE site IN (\${site:singlequote}, '') AND $__timeFilter(hour)
GROUP BY reason
ORDER BY refused DESC, of_no_known_site DESC, reason ASC`;

const REFUSALS_BY_HOUR = `SELECT hour AS time, sum(count) AS refused
FROM \${database}.refusals
WHERE site = \${site:singlequote} AND $__timeFilter(hour)
GROUP BY time
ORDER BY time`;

// === Panels ===

const OF_VISITS = ['visitors', 'visits', 'pageviews', 'bounce_rate', 'visit_duration'];
const or = (value, label) => `if(${value} = '', '${label}', ${value})`;

/** A list by what the visit's first hit says. */
const byEntry = (title, name, { column = name, label, sql = label ? or(`entry.${column}`, label) : `entry.${column}` } = {}) => ({
  title,
  type: 'table',
  sql: ofVisits({ metrics: OF_VISITS, columns: [column], group: [name, sql], limit: ROWS }),
});

const overTime = (title, description, group, metrics, options = {}) => ({
  title,
  description,
  type: 'timeseries',
  sql: ofVisits({ metrics, group: ['time', group], order: 'time' }),
  ...options,
});

const PANELS = [
  { title: 'Summary', type: 'stat', width: 24, height: 4, sql: ofVisits({ metrics: ['visitors', 'visits', 'pageviews', 'views_per_visit', 'bounce_rate', 'visit_duration', 'events'] }) },
  overTime('Visitors and visits', 'By the interval that fits the screen; one of a day begins at midnight UTC.', '$__timeInterval(second)', ['visitors', 'visits', 'pageviews'], { interval: '1m' }),
  overTime('Days', "By the day of the site's time zone.", "toStartOfDay(second, ${zone:singlequote})", ['visitors', 'visits', 'pageviews', 'bounce_rate', 'visit_duration']),
  {
    title: 'Top pages',
    description: 'Bounce rate and duration are of the visits that began there.',
    type: 'table',
    sql: ofVisits({ metrics: OF_VISITS, columns: ['path'], group: ['page', 'x.path'], entered: 'x.path = entry.path', limit: ROWS }),
  },
  byEntry('Entry pages', 'entry_page', { column: 'path', label: '(not set)' }),
  byEntry('Exit pages', 'exit_page', { column: 'path', sql: or('last.path', '(not set)') }),
  byEntry('Sources', 'source', { label: 'Direct / None' }),
  byEntry('Channels', 'channel', { sql: "if(entry.channel IN ('', 'direct'), 'Direct', entry.channel)" }),
  byEntry('Campaigns', 'utm_campaign', { label: '(not set)' }),
  byEntry('Countries', 'country'),
  byEntry('Regions', 'region'),
  byEntry('Cities', 'city'),
  byEntry('Devices', 'device', { label: '(not set)' }),
  byEntry('Browsers', 'browser', { label: '(not set)' }),
  byEntry('Operating systems', 'os', { label: '(not set)' }),
  {
    title: 'Events',
    type: 'table',
    sql: ofVisits({ metrics: ['visitors', 'visits', 'events'], columns: ['name'], group: ['event', "if(x.kind = 2, x.name, 'pageview')"], limit: ROWS }),
  },
  { title: 'Ad blocks', type: 'table', sql: ADS },
  { title: 'Hits per minute', description: 'Page views and events, and what happens to ad blocks.', type: 'timeseries', interval: '1m', sql: PER_MINUTE },
  { title: 'Refused hits by reason', description: 'Beside those of the site: hits that named no known one.', type: 'table', sql: REFUSALS },
  { title: 'Refused hits by hour', type: 'timeseries', interval: '1h', sql: REFUSALS_BY_HOUR },
];

// === Grafana's model ===

function panel({ title, description, type, sql, interval, width = 12, height = 8 }, at, id) {
  const format = type === 'timeseries' ? 'timeseries' : 'table';
  const named = (name, properties) => ({ matcher: { id: 'byName', options: name }, properties });
  return {
    id,
    title,
    ...(description && { description }),
    type,
    datasource: SOURCE,
    gridPos: { h: height, w: width, ...at },
    ...(interval && { interval }),
    fieldConfig: {
      defaults: {},
      overrides: Object.entries(TITLES)
        .filter(([name]) => sql.includes(` AS ${name}`))
        .map(([name, displayName]) =>
          named(name, [{ id: 'displayName', value: displayName }, ...(UNITS[name] ? [{ id: 'unit', value: UNITS[name] }] : [])]),
        ),
    },
    options: type === 'stat' ? { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }, colorMode: 'none', graphMode: 'none' } : {},
    targets: [{ refId: 'A', datasource: SOURCE, editorType: 'sql', queryType: format, format: FORMAT[format], pluginVersion: '4.0.0', rawSql: sql }],
  };
}

function dashboard() {
  let [x, y, row] = [0, 0, 0];
  const panels = PANELS.map((each, index) => {
    const { width = 12, height = 8 } = each;
    if (x + width > 24) [x, y, row] = [0, y + row, 0];
    const at = { x, y };
    [x, row] = [x + width, Math.max(row, height)];
    return panel(each, at, index + 1);
  });
  const variable = (name, label, type, rest) => ({ name, label, type, hide: 0, ...rest });
  return {
    uid: 'metka',
    title: 'Metka',
    description: 'A site in the numbers of its stats API, exact.',
    tags: ['metka'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    timezone: 'browser',
    time: { from: 'now-7d', to: 'now' },
    refresh: '',
    annotations: { list: [] },
    links: [],
    templating: {
      list: [
        variable('datasource', 'Data source', 'datasource', { query: PLUGIN, refresh: 1, current: {} }),
        variable('database', 'Database', 'textbox', { query: 'metka', current: { text: 'metka', value: 'metka' } }),
        variable('site', 'Site', 'query', {
          datasource: SOURCE,
          query: { refId: 'site', editorType: 'sql', queryType: 'table', format: FORMAT.table, rawSql: 'SELECT DISTINCT site FROM ${database}.hits ORDER BY site' },
          refresh: 1,
          multi: false,
          includeAll: false,
          current: {},
        }),
        variable('zone', "Site's time zone", 'textbox', { query: 'Europe/Moscow', current: { text: 'Europe/Moscow', value: 'Europe/Moscow' } }),
      ],
    },
    panels,
  };
}

const text = `${JSON.stringify(dashboard(), null, 2)}\n`;
if (process.argv.includes('--check')) {
  if (readFileSync(FILE, 'utf8') !== text) {
    console.error('dashboards/grafana/metka.json is not what build.mjs writes: run node dashboards/grafana/build.mjs');
    process.exit(1);
  }
} else {
  writeFileSync(FILE, text);
}
