// SPDX-License-Identifier: Apache-2.0
/* Trains seeds of the low-rank problem one after the other and records them: the benchmark's peer in C.
 *
 * Compiled for one case: N, the side; R, the rank of factors and target; CROSS_ENTROPY, ADAM and FACTORED, 0 or 1;
 * TILE, a divisor of R up to 8. The 16 floats of a Vec are whatever vectors the machine has. A matrix of n rows lies
 * column by column, each padded with zeros to W Vecs: zeros stay zeros, so that no loop has a rest.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define W ((N + 15) / 16)
typedef float Vec __attribute__((vector_size(64), may_alias));
typedef int32_t Ints __attribute__((vector_size(64), may_alias));
typedef Vec Columns[R][W];
typedef Vec Matrix[16 * W][W];

typedef struct {  // pairs: A and B, U and V, gradients, Adam's moments; dense: P or C, dL/dZ, its transpose, U V^T
  Columns learned[2], target[2], slope[2], first[2], second[2];
  Matrix goal, z, zt, c;
} Seed;

static inline float total(Vec x) {
  float sum = 0;
  for (int i = 0; i < 16; i++) sum += x[i];
  return sum;
}

static inline float dot(const Vec *x, const Vec *y) {
  Vec sum = {0};
  for (int w = 0; w < W; w++) sum += x[w] * y[w];
  return total(sum);
}

static inline Vec larger(Vec x, Vec y) {
  Ints first = x > y;
  return (Vec)((first & (Ints)x) | (~first & (Ints)y));
}

static inline Vec exponential(Vec x) {  // 2^k e^f, |f| <= log(2) / 2; e^f by the polynomial of Cephes' expf: within 2e-7
  x = larger(x, -87.0f - (Vec){0});
  Ints k = __builtin_convertvector(x * 1.44269504f + 127.5f, Ints);
  x -= (__builtin_convertvector(k, Vec) - 127.0f) * 0.69314718f;
  Vec sum = ((((1.9875691500e-4f * x + 1.3981999507e-3f) * x + 8.3334519073e-3f) * x + 4.1665795894e-2f) * x +
             1.6666665459e-1f) * x + 5.0000001201e-1f;
  return (sum * x * x + x + 1.0f) * (Vec)(k << 23);
}

/* out[i] = sum over k of left[i * across + k * along] right[k], `tile` rows at a time, which stay in registers. */
static inline __attribute__((always_inline)) void multiply(
    int rows, int depth, const float *left, int across, int along, Vec (*right)[W], Vec (*out)[W], const int tile) {
  for (int i = 0; i < rows; i += tile)
    for (int w = 0; w < W; w++) {
      Vec sum[8] = {{0}};
      for (int k = 0; k < depth; k++)
        for (int x = 0; x < tile; x++) sum[x] += left[(i + x) * across + k * along] * right[k][w];
      for (int x = 0; x < tile; x++) out[i + x][w] = sum[x];
    }
}

static void product(Columns pair[2], Matrix out) {  // A B^T
  multiply((N + 7) / 8 * 8, R, (float *)pair[0], 1, 16 * W, pair[1], out, 8);
}

static float softmax(Matrix z, Matrix out) {  // and the logarithm of the normaliser
  Vec most = z[0][0], sum = {0};
  for (int i = 0; i < N; i++)
    for (int w = 0; w < W; w++) most = larger(z[i][w], most);
  float shift = most[0];
  for (int i = 1; i < 16; i++) shift = fmaxf(shift, most[i]);
  for (int i = 0; i < N; i++) {
    for (int w = 0; w < W; w++) out[i][w] = exponential(z[i][w] - shift);
    for (int j = N; j < 16 * W; j++) ((float *)out[i])[j] = 0;
    for (int w = 0; w < W; w++) sum += out[i][w];
  }
  float scale = 1 / total(sum);
  for (int i = 0; i < N; i++)
    for (int w = 0; w < W; w++) out[i][w] *= scale;
  return shift - logf(scale);
}

static void factored(Columns a, Columns b, Columns u, Columns v, Columns out) {  // A (B^T B) - U (V^T B)
  float own[R][R], other[R][R];
  for (int k = 0; k < R; k++)
    for (int l = 0; l < R; l++) own[k][l] = dot(b[k], b[l]), other[k][l] = dot(b[k], v[l]);
  for (int k = 0; k < R; k++)
    for (int w = 0; w < W; w++) {
      Vec sum = {0};
      for (int l = 0; l < R; l++) sum += own[k][l] * a[l][w] - other[k][l] * u[l][w];
      out[k][w] = sum;
    }
}

static void dense(Seed *s) {  // dL/dA = G B and dL/dB = G^T A, G = Z - C or Q - P
  product(s->learned, s->z);
  if (CROSS_ENTROPY) softmax(s->z, s->z);
  for (int i = 0; i < N; i++)
    for (int w = 0; w < W; w++) s->z[i][w] -= s->goal[i][w];
  multiply(R, N, (float *)s->learned[0], 16 * W, 1, s->z, s->slope[1], TILE);
  if (R <= 16) {
    for (int i = 0; i < N; i++)
      for (int k = 0; k < R; k++) ((float *)s->slope[0][k])[i] = dot(s->z[i], s->learned[1][k]);
  } else {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) ((float *)s->zt[j])[i] = ((float *)s->z[i])[j];
    multiply(R, N, (float *)s->learned[1], 16 * W, 1, s->zt, s->slope[0], TILE);
  }
}

static void step(Seed *s, float rate, int t) {
  if (FACTORED)
    for (int i = 0; i < 2; i++)
      factored(s->learned[i], s->learned[1 - i], s->target[i], s->target[1 - i], s->slope[i]);
  else
    dense(s);
  float *x = (float *)s->learned, *g = (float *)s->slope, *m = (float *)s->first, *v = (float *)s->second;
  float correct = 1 - powf(0.9f, t), root = 1 / (1 - powf(0.999f, t));
  for (int i = 0; i < 2 * R * 16 * W; i++)
    if (ADAM) {
      m[i] = 0.9f * m[i] + 0.1f * g[i];
      v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
      x[i] -= rate / correct * m[i] / (sqrtf(v[i] * root) + 1e-8f);
    } else
      x[i] -= rate * g[i];
}

static float loss(Seed *s) {  // |C - Z|^2 / 2, or the sum of P (log P - log Q)
  Vec sum = {0};
  product(s->learned, s->z);
  product(s->target, s->c);
  float log_q = CROSS_ENTROPY ? softmax(s->z, s->zt) : 0, log_p = CROSS_ENTROPY ? softmax(s->c, s->zt) : 0;
  for (int i = 0; i < N; i++)
    for (int w = 0; w < W; w++) {
      Vec d = (s->c[i][w] - log_p) - (s->z[i][w] - log_q), weight = 0.5f * d;
      if (CROSS_ENTROPY) weight = s->goal[i][w];
      sum += weight * d;
    }
  return total(sum);
}

/* Drawn: A, B, U, V of every seed, (S, 4, N, R). Curves: loss (S, T), norms (S, T, 2, R), cosines (S, T, 2, R, R), or
 * NULL; before record t lie waits[t] steps. */
int train(int seeds, const float *drawn, int points, const int *waits, float rate, float *losses, float *norms,
          float *cosines) {
  Seed *s = aligned_alloc(64, sizeof(Seed));
  if (!s) return 1;
  for (int seed = 0; seed < seeds; seed++, drawn += 4 * N * R) {
    for (size_t i = 0; i < sizeof(Seed) / sizeof(Vec); i++) ((Vec *)s)[i] = (Vec){0};
    for (int x = 0; x < 4; x++)
      for (int i = 0; i < N; i++)
        for (int k = 0; k < R; k++)
          ((float *)(x < 2 ? s->learned[x] : s->target[x - 2])[k])[i] = drawn[(x * N + i) * R + k];
    product(s->target, s->goal);
    if (CROSS_ENTROPY) softmax(s->goal, s->goal);
    for (int point = 0, t = 0; point < points; point++) {
      for (int left = waits[point]; left; left--) step(s, rate, ++t);
      *losses++ = loss(s);
      for (int i = 0; i < 2 * R; i++) *norms++ = sqrtf(dot(s->learned[0][i], s->learned[0][i]));
      for (int i = 0; cosines && i < 2 * R * R; i++) {
        Vec *x = s->learned[0][i / R], *y = s->target[i / (R * R)][i % R];
        *cosines++ = fabsf(dot(x, y)) / sqrtf(dot(x, x) * dot(y, y));
      }
    }
  }
  free(s);
  return 0;
}
