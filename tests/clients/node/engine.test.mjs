// Node's @clickhouse/client against the embedded engine.

import assert from 'node:assert/strict'
import { test, before, after } from 'node:test'
import { Readable } from 'node:stream'
import { createClient, ClickHouseError } from '@clickhouse/client'

const connect = (options = {}) =>
  createClient({
    url: process.env.METKA_ENGINE_URL,
    username: 'default',
    password: process.env.METKA_ENGINE_SECRET,
    ...options,
  })

const MILLION = 1_000_000
const COLUMNS = '(id UInt32, name String, note Nullable(String), tags Array(String), score Float64)'
const visit = (id) => ({
  id,
  name: `visit ${id} привет '\\ "`,
  note: id % 3 ? null : 'a note',
  tags: Array(id % 3).fill(`tag${id % 5}`),
  score: id / 8,
})

let client
before(() => {
  client = connect()
})
after(() => client.close())

const table = async (name) => {
  await client.command({ query: `DROP TABLE IF EXISTS ${name}` })
  await client.command({ query: `CREATE TABLE ${name} ${COLUMNS} ENGINE = MergeTree ORDER BY id` })
  return name
}

test('ping', async () => {
  assert.equal((await client.ping()).success, true)
  assert.equal((await client.ping({ select: true })).success, true)
})

for (const [name, compression] of [
  ['by default', undefined],
  ['with request and response compressed', { request: true, response: true }],
]) {
  test(`rows come back as they were inserted, ${name}`, async () => {
    const connected = connect(compression ? { compression } : {})
    try {
      const into = await table('round_trip')
      const rows = Array.from({ length: 5000 }, (_, id) => visit(id))
      const inserted = await connected.insert({ table: into, values: rows, format: 'JSONEachRow' })
      assert.equal(inserted.summary?.written_rows, '5000')
      for (const format of ['JSONEachRow', 'JSON']) {
        const result = await connected.query({ query: `SELECT * FROM ${into} ORDER BY id`, format })
        const read = await result.json()
        assert.deepEqual(format === 'JSON' ? read.data : read, rows)
      }
    } finally {
      await connected.close()
    }
  })
}

test('parameters are bound', async () => {
  const hostile = 'it\'s \\ {x} ; -- " привет\n\t'
  const result = await client.query({
    query: 'SELECT {s:String} AS s, {n:Int64} AS n, {a:Array(String)} AS a, {none:Nullable(String)} AS none, {b:Bool} AS b',
    query_params: { s: hostile, n: -5, a: ['a', hostile], none: null, b: true },
    format: 'JSONEachRow',
  })
  assert.deepEqual(await result.json(), [{ s: hostile, n: -5, a: ['a', hostile], none: null, b: true }])
})

test('a million rows stream in and out', async () => {
  const into = await table('million')
  async function* rows() {
    for (let id = 0; id < MILLION; id++) yield visit(id)
  }
  await client.insert({ table: into, values: Readable.from(rows(), { objectMode: true }), format: 'JSONEachRow' })
  const result = await client.query({ query: `SELECT id, name FROM ${into} ORDER BY id`, format: 'JSONEachRow' })
  let seen = 0
  for await (const block of result.stream()) {
    for (const row of block) {
      const { id, name } = row.json()
      if (id !== seen || name !== visit(seen).name) assert.fail(`row ${seen} is ${id} ${name}`)
      seen++
    }
  }
  assert.equal(seen, MILLION)
})

test('streams with a header have it once', async () => {
  const result = await client.query({
    query: 'SELECT number FROM numbers(200000)',
    format: 'CSVWithNames',
  })
  const lines = (await result.text()).trimEnd().split('\n')
  assert.equal(lines.length, 200_001)
  assert.equal(lines.filter((line) => line.includes('number')).length, 1)
})

test('exceptions have their code and type', async () => {
  await assert.rejects(client.query({ query: 'SELECT * FROM nosuch' }), (error) => {
    assert.ok(error instanceof ClickHouseError)
    assert.equal(error.code, '60')
    assert.equal(error.type, 'UNKNOWN_TABLE')
    return true
  })
  const stranger = connect({ password: 'wrong' })
  await assert.rejects(stranger.query({ query: 'SELECT 1' }), (error) => error.code === '516')
  await stranger.close()
  const into = await table('refusing')
  await assert.rejects(
    client.insert({ table: into, values: [{ id: 'no number' }], format: 'JSONEachRow' }),
    (error) => error instanceof ClickHouseError,
  )
})

for (const response of [false, true]) {
  test(`an exception in mid-stream is raised, compression ${response}`, async () => {
    const connected = connect({ compression: { response } })
    let seen = 0
    await assert.rejects(async () => {
      const result = await connected.query({
        query: 'SELECT number, throwIf(number = 900000) FROM numbers(1000000)',
        format: 'JSONEachRow',
      })
      for await (const block of result.stream()) seen += block.length
      // Compressed, the client reports the broken connection before it has
      // decompressed the exception behind the last rows.
    }, response ? /395|throwIf|aborted/ : /395|throwIf/)
    assert.ok(seen > 0)
    await connected.close()
  })
}

test('queries run at the same time', async () => {
  const answers = await Promise.all(
    Array.from({ length: 16 }, async (_, n) => {
      const result = await client.query({
        query: `SELECT sum(number) + ${n} AS n FROM numbers(1000000)`,
        format: 'JSONEachRow',
      })
      return Number((await result.json())[0].n)
    }),
  )
  assert.deepEqual(answers, Array.from({ length: 16 }, (_, n) => 499_999_500_000 + n))
})

test('settings and sessions', async () => {
  const ask = async (options) => {
    const result = await client.query({
      query: "SELECT getSetting('max_block_size') AS size",
      format: 'JSONEachRow',
      ...options,
    })
    return Number((await result.json())[0].size)
  }
  const usual = await ask({})
  assert.equal(await ask({ clickhouse_settings: { max_block_size: '77' } }), 77)
  assert.equal(await ask({}), usual)
  await client.command({ query: 'SET max_block_size = 66', session_id: 'node' })
  assert.equal(await ask({ session_id: 'node' }), 66)
  assert.equal(await ask({}), usual)
})
