"""NumPy: its namespace, and kernels by blocks over a pool of threads."""

from tensorgrad.backend.cpu import attention_kernels as attention_kernels
from tensorgrad.backend.cpu import contraction_kernels as contraction_kernels
from tensorgrad.backend.cpu import convolve_kernels as convolve_kernels
from tensorgrad.backend.cpu import index_kernels as index_kernels
from tensorgrad.backend.cpu import linear_kernels as linear_kernels
from tensorgrad.backend.cpu import normalization_kernels as normalization_kernels
from tensorgrad.backend.cpu import padding_kernels as padding_kernels
from tensorgrad.backend.cpu import pooling_kernels as pooling_kernels
from tensorgrad.backend.cpu import recurrent_kernels as recurrent_kernels
from tensorgrad.backend.cpu import sampling_kernels as sampling_kernels
from tensorgrad.backend.cpu import scan_kernels as scan_kernels
from tensorgrad.backend.cpu import segment_kernels as segment_kernels
from tensorgrad.backend.cpu import softmax_kernels as softmax_kernels
from tensorgrad.backend.cpu import sorting_kernels as sorting_kernels
from tensorgrad.backend.cpu import special_kernels as special_kernels
from tensorgrad.backend.cpu import window_kernels as window_kernels
from tensorgrad.backend.cpu.convolution import convolution_kernels as convolution_kernels
