/** The yardstick of bench/http.ts: Fastify routes that answer a constant. `node bench/constant-http.ts --port N` */
import Fastify from 'fastify'

const port = Number(process.argv[process.argv.indexOf('--port') + 1])
const app = Fastify()

app.get('/get/:key', (_request, reply) => {
  reply.header('content-type', 'application/json; charset=utf-8').send('{"result":"value"}')
})
app.post('/pipeline', (_request, reply) => {
  reply.header('content-type', 'application/json; charset=utf-8').send('[{"result":"value"}]')
})
app.post('/v1/topics/:channel/messages', (_request, reply) => {
  reply.header('content-type', 'application/json; charset=utf-8').send('{"receivers":0}')
})
await app.listen({ port, host: '127.0.0.1' })
