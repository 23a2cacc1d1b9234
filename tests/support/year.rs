//! A year of made-up hits on the site `clinic`, made by the engine itself.
//!
//! Of each ten million, 0.3 million cookie visitors and 0.7 million cookieless ids, 3.2 hits per visit, 3,000 paths,
//! 400 cities and 600 referrers by Zipf's law, 2,000 user agents, one hit in twenty an event, every column filled.

/// The time zone of the site.
pub const ZONE: &str = "Europe/Moscow";
/// Hits of a visit, in the mean.
pub const HITS_PER_VISIT: f64 = 3.2;

/// The hits of one month of the year's visits: a month is a partition.
pub fn insert(visits: u64, month: u32) -> String {
    let (cookies, cookieless) = (visits * 12 / 125, visits * 28 / 125);
    format!(
        "INSERT INTO metka.hits
SELECT 'clinic' AS site, fromUnixTimestamp64Milli(at + offs[h]) AS time,
 multiIf(h=1,'pageview', cityHash64(i,h,'e')%1000<73,'event','pageview') AS kind,
 if(cl, cityHash64(i,'v'), if(k=0 AND h=1, cityHash64(p,'d'), cityHash64(p,'c'))) AS visitor,
 if(cl OR (k=0 AND h=1),'cookieless','cookie') AS identity,
 if(cl, cityHash64(i,h,'m'), if(k=0 AND h=1, cityHash64(p,'c'), 0)) AS minted,
 if(NOT cl AND p%20=0, cityHash64(p,'u'),0) AS user_key, 0 AS before,
 'clinic.example' AS host, concat('/statya-', toString(pg[h]), '/') AS path, if(cityHash64(i,h,'q')%20=0, concat('a=',toString(cityHash64(i,h)%100)),'') AS query,
 concat('Статья ', toString(pg[h])) AS title,
 if(src>0 AND h=1, concat('site-',toString(src),'.example'),'') AS referrer_host, if(src>0 AND h=1, concat('/tema/',toString(src*7%900)),'') AS referrer_path,
 if(src>0 AND h=1, concat('Site ',toString(src)),'') AS source, if(src=0 OR h>1,'direct',arrayElement(['organic','referral','social','paid','email'],1+src%5)) AS channel,
 if(camp AND h=1, concat('utm-',toString(src%20)),'') AS utm_source, if(camp AND h=1,'cpc','') AS utm_medium, if(camp AND h=1,concat('autumn-',toString(src%40)),'') AS utm_campaign,
 if(camp AND h=1,concat('c',toString(src%10)),'') AS utm_content, if(camp AND h=1,concat('t',toString(src%10)),'') AS utm_term,
 MD5(toString(cityHash64(if(cl,i,p), day))) AS ip, 20261101 AS ip_key,
 arrayElement(['RU','RU','RU','RU','KZ','BY','DE','UZ','AM','GE'],1+ci%10) AS country, concat('R-',toString(ci%80)) AS region, concat('Город ',toString(ci)) AS city,
 8000+ci%300 AS asn, concat('Сеть ',toString(ci%300)) AS network,
 arrayElement(['Chrome','Yandex','Safari','Firefox','Edge','Opera','Samsung'],1+ua%7) AS browser, toString(60+ua%90) AS browser_version,
 arrayElement(['Windows','Android','iOS','Mac','Linux'],1+intDiv(ua,7)%5) AS os, toString(1+ua%20) AS os_version, arrayElement(['mobile','desktop','tablet'],1+ua%3) AS device,
 '' AS bot, arrayElement(['ru','ru','ru','en','kk'],1+ci%5) AS language, toString(320+80*(ua%20)) AS screen, '' AS ad,
 if(kind='event', arrayElement(['signup','call','download','outbound','form'],1+cityHash64(i,h)%5),'') AS name,
 if(kind='event', map('knopka',toString(cityHash64(i,h)%9)), map()) AS props,
 0 AS engaged_ms, 255 AS scroll, 'Europe/Moscow' AS timezone, 'granted' AS consent, '2026-03' AS policy,
 1200,1200,1200,1200,1200, false, false, intDiv(i,1500)+1 AS batch, toUInt32(i%1500*20+h) AS row
FROM (
 SELECT i, cl, p, k, day, at, n, arrayCumSum(arrayMap(x -> if(x=1, 0, 5000+toInt64(cityHash64(i,x,'o')%240000)), range(1,n+1))) AS offs,
  arrayMap(x -> toUInt32(floor(exp((cityHash64(i,x,'pg')%1000000)/1000000*log(3001)))), range(1,n+1)) AS pg, range(1,n+1) AS hs,
  if(cityHash64(i,'s')%10<4,0,toUInt32(floor(exp((cityHash64(i,'sr')%1000000)/1000000*log(601))))) AS src, cityHash64(i,'ca')%10=0 AND src>0 AS camp,
  toUInt32(floor(exp((cityHash64(if(cl,i,p),'ci')%1000000)/1000000*log(401)))) AS ci, toUInt32(floor(exp((cityHash64(if(cl,i,p),'ua')%1000000)/1000000*log(2001)))) AS ua
 FROM (
  SELECT number AS i, number < {cookieless} AS cl, if(cl, 0, (number-{cookieless}) % {cookies}) AS p, if(cl,0,intDiv(number-{cookieless},{cookies})) AS k,
   toUInt32(if(cl, cityHash64(number,'day')%365, if(k=0, cityHash64(p,'d0')%365, cityHash64(p,'d0')%365 + cityHash64(p,k,'dk')%(365-cityHash64(p,'d0')%365)))) AS day,
   toUnixTimestamp(toDate(now(), 'Europe/Moscow') - 366, 'Europe/Moscow') * 1000 + toInt64(day)*86400000 + if(k=0, 0, 43200000) + toInt64(cityHash64(number,'tm')%43200000)*9/10 AS at0, toInt64(at0) AS at,
   1 + least(30, toUInt32(floor(log(1 - (cityHash64(number,'n')%1000000)/1000000.0)/log(1-1/3.2)))) AS n
  FROM numbers({visits}) WHERE toMonth(fromUnixTimestamp64Milli(at))={month}
 )
) ARRAY JOIN hs AS h
SETTINGS max_partitions_per_insert_block = 100, min_insert_block_size_rows = 1000000"
    )
}
